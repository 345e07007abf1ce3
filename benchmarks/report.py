"""A report of 20,000 rows: its size, the time to write it, and how fluid its map is in Chromium without a GPU.

In addition to the time between two frames, the processor time per event is measured, which does not depend on other
work on the machine.
"""

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _common
import numpy as np
import pandas as pd
from selenium import webdriver

import skclr

N_ROWS, N_EVENTS = 20_000, 120
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
RECORD = """
    window.frames_ = [];
    (function frame() {
        window.frames_.push(performance.now());
        window.request = requestAnimationFrame(frame);
    })();
"""


def table(options: Any) -> tuple[Any, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=N_ROWS)
    return pd.DataFrame(3 * rng.normal(size=(10, 8))[y] + rng.normal(size=(N_ROWS, 8)), columns=list("abcdefgh")), y


def images(options: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return images of CIFAR-10, some of them twice with noise."""
    cifar = _common.load(options.data, "cifar10_12k")
    X = np.concatenate([cifar["X_train"], cifar["X_test"]])
    rows = np.random.default_rng(0).permutation(np.arange(N_ROWS) % len(X))
    noise = np.random.default_rng(1).integers(-8, 8, (N_ROWS, *X.shape[1:]))
    return np.clip(X[rows] + noise, 0, 255).astype(np.uint8), np.concatenate([cifar["y_train"], cifar["y_test"]])[rows]


def start(folder: str) -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    screen = {"width": 1000, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    return browser


class Mouse:
    """A mouse over the map of an open report."""

    def __init__(self, browser: webdriver.Chrome) -> None:
        self.browser = browser
        box = "const b = document.getElementById('map').getBoundingClientRect();"
        self.x, self.y = browser.execute_script(box + "return [b.left + b.width / 2, b.top + b.height / 2]")

    def send(self, kind: str, x: float = 0, y: float = 0, **more: Any) -> None:
        event = {"type": kind, "x": self.x + x, "y": self.y + y, **more}
        self.browser.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def point(self) -> None:
        for i in range(N_EVENTS):
            self.send("mouseMoved", 2 * i - N_EVENTS, 40 * np.sin(i / 6))

    def pan(self) -> None:
        self.send("mousePressed", button="left", buttons=1, clickCount=1)
        for i in range(N_EVENTS):
            self.send("mouseMoved", 100 * np.sin(i / 10), 60 * np.sin(i / 7), button="left", buttons=1)
        self.send("mouseReleased", button="left", clickCount=1)

    def zoom(self) -> None:
        for i in range(N_EVENTS):
            self.send("mouseWheel", deltaX=0, deltaY=-60 if i < N_EVENTS // 2 else 60)


def frames(browser: webdriver.Chrome, act: Callable[[], None]) -> dict[str, float]:
    def busy() -> float:
        metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    browser.execute_script(RECORD)
    before = busy()
    act()
    at = browser.execute_script("cancelAnimationFrame(window.request); return window.frames_")
    between = np.diff(at)
    return {
        "frames_per_second": round(1e3 * len(between) / (at[-1] - at[0]), 1),
        "frame_ms": round(float(np.median(between)), 1),
        "frame_ms_95": round(float(np.percentile(between, 95)), 1),
        "processor_ms": round(1e3 * (busy() - before) / N_EVENTS, 1),
    }


def measure(X: Any, y: np.ndarray, folder: str) -> dict[str, Any]:
    embedder = skclr.ContrastiveEmbedder(max_epochs=0, random_state=0).fit(X)
    begun, begun_processor = time.perf_counter(), time.process_time()
    path = skclr.report(embedder, X, y, Path(folder, "report.html"))
    found = {
        "seconds": round(time.perf_counter() - begun, 1),
        "processor_seconds": round(time.process_time() - begun_processor, 1),
        "megabytes": round(path.stat().st_size / 1e6, 1),
    }
    browser = start(f"{folder}/profile")
    try:
        browser.get(path.as_uri())
        while not browser.execute_script("return document.documentElement.dataset.ready"):
            time.sleep(0.1)
        browser.execute_script("document.getElementById('map').scrollIntoView()")
        mouse = Mouse(browser)
        for name, act in (("hover", mouse.point), ("pan", mouse.pan), ("zoom", mouse.zoom)):
            time.sleep(1)
            found[name] = frames(browser, act)
    finally:
        browser.quit()
    print(found, flush=True)
    return found


def main() -> None:
    options = _common.parser(__doc__).parse_args()
    found = {}
    for name, data in (("table", table), ("images", images)):
        with tempfile.TemporaryDirectory() as folder:
            found[name] = measure(*data(options), folder)
    _common.write("report", {"n_rows": N_ROWS, "reports": found}, packages=("plotly",))


if __name__ == "__main__":
    main()
