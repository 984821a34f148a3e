//! Counts what is called of AWS, and what it is billed for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::{
    operation::{
        get_item::{GetItemInput, GetItemOutput},
        put_item::PutItemInput,
        query::{QueryInput, QueryOutput},
        transact_write_items::TransactWriteItemsInput,
    },
    types::AttributeValue,
};
use aws_sdk_eventbridge::operation::put_events::PutEventsInput;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef},
        },
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use bedrock_diy_aws::clients::Services;

/// Counts the calls of the clients that it was put into.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Bill>>);

/// What was called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bill {
    /// How often each operation was called, but for looks at the models' quota.
    pub calls: BTreeMap<String, u64>,
    /// Looks at the models' quota: at most one a second for each process and model.
    pub quota_looks: u64,
    /// Write request units of DynamoDB's tables: one for each begun kilobyte of an item, two in a transaction.
    pub write_units: u64,
    /// Read request units of DynamoDB's tables, halved: two for each begun four kilobytes that were read
    /// consistently, one for those that were not.
    pub half_read_units: u64,
    /// Events that were put onto a bus.
    pub events: u64,
    /// Bytes of items that were written to DynamoDB, by their keys: what is stored in the end.
    pub stored: BTreeMap<String, u64>,
}

impl Meter {
    /// The clients, metered.
    #[must_use]
    pub fn services(&self, services: &Services) -> Services {
        Services {
            dynamodb: aws_sdk_dynamodb::Client::from_conf(
                services
                    .dynamodb
                    .config()
                    .to_builder()
                    .interceptor(self.clone())
                    .build(),
            ),
            eventbridge: aws_sdk_eventbridge::Client::from_conf(
                services
                    .eventbridge
                    .config()
                    .to_builder()
                    .interceptor(self.clone())
                    .build(),
            ),
            s3: aws_sdk_s3::Client::from_conf(
                services
                    .s3
                    .config()
                    .to_builder()
                    .interceptor(self.clone())
                    .build(),
            ),
            sfn: aws_sdk_sfn::Client::from_conf(
                services
                    .sfn
                    .config()
                    .to_builder()
                    .interceptor(self.clone())
                    .build(),
            ),
            sqs: aws_sdk_sqs::Client::from_conf(
                services
                    .sqs
                    .config()
                    .to_builder()
                    .interceptor(self.clone())
                    .build(),
            ),
            ssm: aws_sdk_ssm::Client::from_conf(
                services
                    .ssm
                    .config()
                    .to_builder()
                    .interceptor(self.clone())
                    .build(),
            ),
        }
    }

    /// The client of Bedrock Runtime, metered.
    #[must_use]
    pub fn bedrock(&self, client: &aws_sdk_bedrockruntime::Client) -> aws_sdk_bedrockruntime::Client {
        let config = client.config().to_builder().interceptor(self.clone()).build();
        aws_sdk_bedrockruntime::Client::from_conf(config)
    }

    /// What was called since somebody last took it.
    #[must_use]
    pub fn take(&self) -> Bill {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "meter"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut bill = self.0.lock().unwrap();
        if let Some(get) = context.input().downcast_ref::<GetItemInput>()
            && get.table_name().is_some_and(|table| table.contains("ModelQuota"))
        {
            bill.quota_looks += 1;
            return Ok(());
        }
        let get = context.input().downcast_ref::<GetItemInput>();
        let query = context.input().downcast_ref::<QueryInput>();
        let consistently = get
            .and_then(GetItemInput::consistent_read)
            .or_else(|| query?.consistent_read());
        let consistently = Consistently(consistently == Some(true));
        config.interceptor_state().store_put(consistently);
        let operation = config.load::<Metadata>().expect("every call has its operation");
        *bill.calls.entry(operation.name().to_owned()).or_default() += 1;
        if let Some(write) = context.input().downcast_ref::<TransactWriteItemsInput>() {
            for item in write.transact_items() {
                let put = item.put().expect("transactions put items, and nothing else");
                bill.wrote(put.item(), 2);
            }
        }
        if let Some(put) = context.input().downcast_ref::<PutEventsInput>() {
            bill.events += put.entries().len() as u64;
        }
        if let Some(put) = context.input().downcast_ref::<PutItemInput>() {
            bill.wrote(put.item().expect("a put has an item"), 1);
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Ok(output)) = context.output_or_error() else {
            return Ok(());
        };
        // What was asked is gone by now.
        let consistently = config.load::<Consistently>().is_some_and(|reads| reads.0);
        let mut bill = self.0.lock().unwrap();
        if let Some(got) = output.downcast_ref::<GetItemOutput>() {
            bill.read(got.item().map_or(0, size), consistently);
        }
        if let Some(found) = output.downcast_ref::<QueryOutput>() {
            bill.read(found.items().iter().map(size).sum(), consistently);
        }
        Ok(())
    }
}

/// Whether a call reads consistently.
#[derive(Debug)]
struct Consistently(bool);

impl Storable for Consistently {
    type Storer = StoreReplace<Self>;
}

type Item = std::collections::HashMap<String, AttributeValue>;

impl Bill {
    fn wrote(&mut self, item: &Item, units_a_kilobyte: u64) {
        let bytes = size(item);
        self.write_units += units_a_kilobyte * bytes.div_ceil(1024);
        let key = [
            "jobId",
            "item",
            "memoKey",
            "sessionId",
            "timestamp",
            "projectId",
            "revision",
        ];
        let key = key.map(|name| item.get(name).map_or(String::new(), |value| format!("{value:?}")));
        self.stored.insert(key.join(" "), bytes);
    }

    fn read(&mut self, bytes: u64, consistently: bool) {
        let halves = if consistently { 2 } else { 1 };
        self.half_read_units += halves * bytes.div_ceil(4096).max(1);
    }

    /// Adds another bill to this one.
    pub fn add(&mut self, other: Self) {
        for (operation, times) in other.calls {
            *self.calls.entry(operation).or_default() += times;
        }
        self.write_units += other.write_units;
        self.quota_looks += other.quota_looks;
        self.events += other.events;
        self.half_read_units += other.half_read_units;
        self.stored.extend(other.stored);
    }
}

/// An item's size as DynamoDB counts it: names and values ("DynamoDB Item sizes and formats", Amazon
/// DynamoDB Developer Guide, 2026-11).
fn size(item: &Item) -> u64 {
    let bytes: usize = item
        .iter()
        .map(|(name, value)| name.len() + value_size(value))
        .sum();
    bytes as u64
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        // A byte for two digits, and one.
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::L(values) => 3 + values.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        AttributeValue::M(values) => {
            let each = |(name, value): (&String, &AttributeValue)| 1 + name.len() + value_size(value);
            3 + values.iter().map(each).sum::<usize>()
        }
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
        other => panic!("no item of ours holds {other:?}"),
    }
}
