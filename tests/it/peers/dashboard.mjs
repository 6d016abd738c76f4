// A viewer at the dashboard, in headless Chromium: does what a test says line by line, and answers each line.
//
//   node dashboard.mjs ADDRESS
//
// Reads one JSON command a line from standard input and prints one JSON answer a line. Ends with its input.
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";

import { launch, packages } from "./chromium.mjs";

const AXE = fs.readFileSync(packages.resolve("axe-core/axe.min.js"), "utf8");
const PATIENCE = 45_000;

const browser = await launch();
const address = process.argv[2];

// What went wrong or elsewhere, and how much came over the network.
const troubles = [];
let bytes = 0;

async function watched(context) {
  const page = await context.newPage();
  page.on("console", (message) => {
    const { url } = message.location();
    // The browser writes down every refusal by itself; the page shows those to the person.
    const refused = message.text().match(/the server responded with a status of (\d+)/);
    // Whoever is not logged in is told so with every answer.
    const isRefusal = refused && (url.includes("/api/v1/") || refused[1] === "401");
    if (["error", "warning"].includes(message.type()) && !isRefusal) troubles.push(`console: ${message.text()} ${url}`);
  });
  page.on("pageerror", (error) => troubles.push(`error: ${error.message}`));
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(address).host) troubles.push(`elsewhere: ${request.url()}`);
  });
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  const network = await context.newCDPSession(page);
  await network.send("Network.enable");
  // As they come, so that the stream that has no end counts as well; nothing is compressed.
  network.on("Network.responseReceived", ({ response }) => (bytes += response.encodedDataLength));
  network.on("Network.dataReceived", ({ dataLength }) => (bytes += dataLength));
  page.setDefaultTimeout(PATIENCE);
  return page;
}

let page = await watched(await browser.newContext({ viewport: { width: 1280, height: 900 } }));

async function scan(width, scheme) {
  await page.setViewportSize({ width, height: 900 });
  await page.emulateMedia({ colorScheme: scheme });
  // Injected by the debugger, which the page's policy does not concern.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  return violations.map(({ id, nodes }) => `${width} ${scheme} ${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
}

const commands = {
  async open({ query = "" }) {
    bytes = 0;
    await page.goto(address + query);
    await page.waitForFunction(() => document.documentElement.classList.contains("live"));
    await page.waitForFunction(() => !document.querySelector(".canvas svg[width='640']"));
    await page.waitForTimeout(500);
    return { bytes };
  },
  // A page at another port of the machine where one is named.
  async go({ path = "", port = new URL(address).port }) {
    const target = new URL(path, address);
    target.port = port;
    await page.goto(target.href);
    return {};
  },
  async type({ selector, text }) {
    await page.fill(selector, text);
    await page.press(selector, "Enter");
    await page.waitForLoadState();
    return {};
  },
  // Waits until what is at a selector holds a text, or is gone where there is no text.
  async expect({ selector, text = null }) {
    const seen = ([selector, text]) => {
      const found = document.querySelector(selector);
      return text === null ? !found : Boolean(found?.textContent.includes(text));
    };
    try {
      await page.waitForFunction(seen, [selector, text]);
    } catch {
      const there = await page.locator(selector).allTextContents();
      throw new Error(`${selector} does not say ${text} but ${JSON.stringify(there)}`);
    }
    return {};
  },
  async click({ selector }) {
    await page.click(selector);
    return {};
  },
  async press({ keys }) {
    for (const key of keys) await page.keyboard.press(key);
    return {};
  },
  // Waits until a script answers with true.
  async until({ script }) {
    // The page's policy lets no script be made of a text, so that the debugger has to look again and again.
    const deadline = Date.now() + PATIENCE;
    while (!(await page.evaluate(script))) {
      if (Date.now() > deadline) throw new Error("waited in vain");
      await page.waitForTimeout(50);
    }
    return {};
  },
  async look({ script }) {
    return { seen: await page.evaluate(script) };
  },
  async scan() {
    const found = [];
    for (const width of [390, 1280]) {
      for (const scheme of ["light", "dark"]) found.push(...(await scan(width, scheme)));
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.emulateMedia({ colorScheme: "light" });
    return { found };
  },
  // Pages at all widths, whole or what is in the window; what is too wide for its window is told.
  async photograph({ folder, name, whole = true }) {
    fs.mkdirSync(folder, { recursive: true });
    const tooWide = [];
    for (const width of [390, 1280, 1920]) {
      for (const colorScheme of ["light", "dark"]) {
        await page.setViewportSize({ width, height: width === 390 ? 844 : 1080 });
        await page.emulateMedia({ colorScheme });
        await page.waitForTimeout(800);
        const needed = await page.evaluate(() => document.documentElement.scrollWidth);
        if (needed > width) tooWide.push(`${name} needs ${needed} of ${width}`);
        await page.screenshot({ path: path.join(folder, `${name}-${width}-${colorScheme}.png`), fullPage: whole });
      }
    }
    await page.setViewportSize({ width: 1280, height: 900 });
    await page.emulateMedia({ colorScheme: "light" });
    return { tooWide };
  },
  // What a viewer without scripts sees.
  async plainly() {
    const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 1280, height: 900 } });
    const plain = await context.newPage();
    await plain.goto(address);
    const text = await plain.locator("body").innerText();
    await context.close();
    return { text };
  },
  async troubles() {
    return { troubles };
  },
};

try {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    try {
      console.log(JSON.stringify(await commands[command.do](command)));
    } catch (error) {
      console.log(JSON.stringify({ failed: `${line}: ${error.message}` }));
    }
  }
} finally {
  await browser.close();
}
