// Debian's Chromium without a window, for the other scripts here; it looks for nothing outside of this machine.
import { createRequire } from "node:module";
import path from "node:path";

export const packages = createRequire(path.join(process.env.PEERS, "package.json"));
const { chromium } = packages("playwright-core");

export const launch = (...more) =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...more,
    ],
  });
