// Unpacks the browser of `@sparticuz/chromium`, and the libraries that it needs, into the folder that it is run in:
// chromium, lib/. The package's own way puts them into the system's temporary folder, and its libraries only on Lambda.

import { createReadStream, createWriteStream, mkdirSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";
import { extract } from "tar-fs";

const packed = (name) => createReadStream(`node_modules/@sparticuz/chromium/bin/${name}.br`);

await pipeline(packed("chromium"), createBrotliDecompress(), createWriteStream("chromium", { mode: 0o755 }));
mkdirSync("lib", { recursive: true });
await pipeline(packed("al2023.tar"), createBrotliDecompress(), extract("."));
