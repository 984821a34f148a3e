// Reads an AsyncAPI document as AsyncAPI's own tools do, and prints what is wrong with it:
//
//   node asyncapi.js FILE

import { readFile } from "node:fs/promises";

import { DiagnosticSeverity, Parser } from "@asyncapi/parser";

const { diagnostics } = await new Parser().parse(await readFile(process.argv[2], "utf8"));
// What is no more than a hint says that there are newer versions.
const wrong = diagnostics.filter(({ severity }) => severity <= DiagnosticSeverity.Warning);
console.log(JSON.stringify(wrong.map(({ message, path }) => `${path.join(".")}: ${message}`)));
