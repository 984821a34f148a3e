// Opens a page in Chromium, waits until it says that it is done (`window.told` is there), and prints what it tells:
//
//   node open.js ADDRESS
//
// The browser is the one beside this file, or that which BEDROCK_DIY_CHROMIUM names.

import { chromium } from "playwright-core";

const here = import.meta.dirname;
// Each step may take so long on a machine that is busy.
const timeout = 120_000;
const browser = await chromium.launch({
  executablePath: process.env.BEDROCK_DIY_CHROMIUM ?? `${here}/chromium`,
  // What it needs and the system may not have.
  env: { ...process.env, LD_LIBRARY_PATH: `${here}/lib` },
  // As root, as in a container, there is no sandbox to be had.
  args: ["--no-sandbox"],
  timeout,
});
try {
  const page = await browser.newPage();
  page.on("console", (message) => console.error(message.text()));
  page.on("pageerror", (error) => console.error(error.message));
  await page.goto(process.argv[2], { timeout });
  const told = await page.waitForFunction(() => window.told, undefined, { timeout });
  console.log(JSON.stringify(await told.jsonValue()));
} finally {
  await browser.close();
}
