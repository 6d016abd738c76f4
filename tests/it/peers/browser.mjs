// Opens a page in headless Chromium and prints what the page leaves in `window.outcome`, as JSON.
//
//   node browser.mjs ADDRESS
//
// Names under `.example` lead to this machine, as a name does that an attacker lets point here.
import { launch } from "./chromium.mjs";

const browser = await launch("--host-resolver-rules=MAP *.example 127.0.0.1");
try {
  const page = await browser.newPage();
  page.on("console", (message) => console.error(message.text()));
  await page.goto(process.argv[2]);
  const outcome = await page.waitForFunction(() => window.outcome, null, { timeout: 30_000 });
  console.log(JSON.stringify(await outcome.jsonValue()));
} finally {
  await browser.close();
}
