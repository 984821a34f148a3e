//! Reading the model's file.

use std::fs::File;
use std::io::{BufReader, Cursor, Seek as _};
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Content};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Result};
use candle_transformers::models::quantized_llama::ModelWeights;

use crate::local::chat::Vocabulary;

/// The model's weights, to be cloned for each generation: the clones share the tensors, and each has a
/// key-value cache of its own.
pub(crate) struct Weights(ModelWeights);

impl Weights {
    pub(crate) fn fresh(&self) -> ModelWeights {
        self.0.clone()
    }
}

/// Reads weights and vocabulary.
pub(crate) fn load(gguf: &Path) -> Result<(Weights, Vocabulary)> {
    let mut file = BufReader::new(File::open(gguf)?);
    let content = Content::read(&mut file)?;
    let vocabulary = Vocabulary::of(&content)?;
    let mut requantised = requantise(&content, &mut file)?;
    let content = Content::read(&mut requantised)?;
    let weights = ModelWeights::from_gguf(content, &mut requantised, &Device::Cpu)?;
    Ok((Weights(weights), vocabulary))
}

/// The same file in memory, with its `Q4_1` tensors as `Q8_0`. There is no fast kernel for `Q4_1`: prompts
/// are read four times as fast this way, and nothing is lost, for `Q8_0` is the finer of the two.
fn requantise(content: &Content, file: &mut BufReader<File>) -> Result<Cursor<Vec<u8>>> {
    let mut tensors = Vec::with_capacity(content.tensor_infos.len());
    for name in content.tensor_infos.keys() {
        let tensor = content.tensor(file, name, &Device::Cpu)?;
        let tensor = match tensor.dtype() {
            GgmlDType::Q4_1 => QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, GgmlDType::Q8_0)?,
            _ => tensor,
        };
        tensors.push((name.as_str(), tensor));
    }
    let metadata: Vec<_> = content
        .metadata
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut out = Cursor::new(Vec::new());
    gguf_file::write(&mut out, &metadata, &tensors)?;
    out.rewind()?;
    Ok(out)
}
