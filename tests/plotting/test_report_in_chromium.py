"""The report in a real browser; its pictures are taken too where REPORT_PICTURES names a folder."""

import base64
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, make_blobs

import skclr
from skclr import ContrastiveEmbedder

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytest.importorskip("plotly")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Debian's packages chromium and chromium-driver"
)

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
HOSTILE = [
    "<img src=x onerror=document.title='owned'>",
    "</script><script>document.title='owned'</script>",
    "a & <b>b</b>",
]
# Where a row is on the screen, from the middle of the map.
PLACE = """
    const plot = document.getElementById("map"), shape = plot._fullLayout, box = plot.getBoundingClientRect();
    return [shape.xaxis.l2p(at(arguments[0], 0)) + shape._size.l - box.width / 2,
            shape.yaxis.l2p(at(arguments[0], 1)) + shape._size.t - box.height / 2];
"""


class Page:
    """A report in the browser, and what a user does with it."""

    def __init__(self, browser, path, width=1000, height=900, scheme="light"):
        self.browser = browser
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        scheme = [{"name": "prefers-color-scheme", "value": scheme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        browser.get_log("browser")
        browser.get(path.as_uri())
        self.wait("return document.documentElement.dataset.ready")
        self.map = browser.find_element(By.ID, "map")
        self.run("document.querySelector('.tools').scrollIntoView()")

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def wait(self, script, seconds=20):
        end = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < end, f"never came true: {script}"
            time.sleep(0.05)
        return found

    def point_at(self, row):
        x, y = self.run(PLACE, row)
        actions = ActionChains(self.browser, duration=20)
        actions.move_to_element_with_offset(self.map, round(x) + 2, round(y)).perform()
        actions.move_to_element_with_offset(self.map, round(x), round(y)).perform()

    def press(self, text):
        self.browser.find_element(By.XPATH, f"//button[text()='{text}']").click()

    def drag(self, path):
        actions = (
            ActionChains(self.browser, duration=20).move_to_element_with_offset(self.map, *path[0]).click_and_hold()
        )
        for place in path[1:]:
            actions.move_to_element_with_offset(self.map, *place)
        actions.release().perform()

    def text(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector).text

    def complaints(self):
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def picture(self, name):
        if folder := os.environ.get("REPORT_PICTURES"):
            size = self.run("return [innerWidth, document.documentElement.scrollHeight]")
            clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
            shot = self.browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
            Path(folder, f"{name}.png").write_bytes(base64.b64decode(shot["data"]))
            self.browser.save_screenshot(str(Path(folder, f"{name}_screen.png")))


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The report of a table whose labels and names are HTML.

    Seven labels per class are too few to choose C by cross-validation, which takes most of the time.
    """
    X, y = make_blobs(21, 5, centers=3, random_state=0)
    frame = pd.DataFrame(X, columns=[HOSTILE[0], "width", "height", "depth", "weight"])
    embedder = ContrastiveEmbedder(max_epochs=3, random_state=0).fit(frame)
    path = tmp_path_factory.mktemp("hostile") / "report.html"
    metadata = {HOSTILE[1]: np.array(HOSTILE)[::-1][np.arange(21) % 3]}
    return (
        skclr.report(embedder, frame, np.array(HOSTILE)[y], path, title=HOSTILE[0], metadata=metadata),
        embedder,
        frame,
        y,
    )


@pytest.fixture(scope="module")
def digits_report(tmp_path_factory):
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 8, 8)[:200]
    embedder = ContrastiveEmbedder(modality="image", max_epochs=2, random_state=0).fit(X)
    path = tmp_path_factory.mktemp("digits") / "report.html"
    metadata = {"digit": y[:200]}
    return skclr.report(embedder, X, path=path, metadata=metadata, methods=["pca", "tsne"]), embedder, X, y[:200]


def test_hostile_labels_stay_text(browser, hostile):
    page = Page(browser, hostile[0])
    page.point_at(7)
    page.wait("return !document.getElementById('hover').hidden")
    ActionChains(browser).click().perform()
    page.wait("return document.querySelector('#panel .card')")
    for name in range(7):
        page.run(
            "const s = document.getElementById('color'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))",
            name,
        )
    assert page.text("#hover dt") == "label"
    assert page.text("#hover dd") == HOSTILE[hostile[3][7]]
    assert page.text("h1") == HOSTILE[0]
    options = page.run("return [...document.getElementById('color').options].map((o) => o.text)")
    assert options[:3] == ["label", HOSTILE[1], HOSTILE[0]]
    assert page.run("return document.querySelectorAll('main img[src=x], main script, main b').length") == 0
    assert browser.title == HOSTILE[0]
    assert page.complaints() == []


def test_hover_shows_the_row(browser, hostile):
    path, _, X, _ = hostile
    page = Page(browser, path)
    page.point_at(12)
    page.wait("return !document.getElementById('hover').hidden")
    values = dict(
        zip(
            *(
                page.run(f"return [...document.querySelectorAll('#hover {t}')].map((n) => n.textContent)")
                for t in ("dt", "dd")
            ),
            strict=True,
        )
    )
    assert "row 12" in page.text("#hover")
    assert float(values["width"]) == pytest.approx(X["width"][12], rel=1e-4)
    page.picture("table")
    ActionChains(browser).move_to_element(browser.find_element(By.CSS_SELECTOR, "h2")).perform()
    page.wait("return document.getElementById('hover').hidden")


def test_hover_shows_the_image(browser, digits_report):
    path, _, X, _ = digits_report
    page = Page(browser, path)
    page.point_at(11)
    page.wait("return document.querySelector('#hover canvas')")
    pixels = page.run(
        "const c = document.querySelector('#hover canvas');"
        "return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    )
    shown = np.array(pixels).reshape(8, 8, 4)[..., 0]
    np.testing.assert_allclose(shown, 255 * X[11] / X[:200].max(), atol=1)
    assert page.complaints() == []


def test_click_lists_the_nearest(browser, digits_report):
    path, embedder, X, _ = digits_report
    page = Page(browser, path)
    page.point_at(11)
    ActionChains(browser).click().perform()
    page.wait("return document.querySelector('#panel .card')")
    heads = page.run("return [...document.querySelectorAll('#panel .card-head')].map((n) => n.firstChild.textContent)")
    embedding = embedder.transform(X)
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    nearest = np.argsort(-(unit @ unit[11]), kind="stable")[: len(heads)]
    assert sorted(heads) == sorted(f"row {row}" for row in nearest)
    assert heads[0] == "row 11"
    ringed = page.run("return document.getElementById('map').data.at(-1).x.length")
    assert ringed == len(heads)
    page.picture("digits")
    assert page.complaints() == []


def test_lasso_lists_rows(browser, digits_report):
    page = Page(browser, digits_report[0])
    page.press("lasso")
    width, height = page.map.size["width"], page.map.size["height"]
    x, y = width // 2 - 12, height // 2 - 12
    page.drag([(-x, -y), (0, -y), (0, 0), (0, y), (-x, y), (-x, -y)])
    page.wait("return document.querySelector('#panel h3')")
    inside = page.run(f"return [...Array(map.n).keys()].filter((i) => (({_FUNCTION})(i))[0] < 0).length")
    n_listed = int(page.text("#panel h3").split()[0])
    assert abs(n_listed - inside) <= 3
    assert 20 < n_listed < 180
    assert len(page.browser.find_elements(By.CSS_SELECTOR, "#panel .card")) == 24
    page.press("show more")
    assert len(page.browser.find_elements(By.CSS_SELECTOR, "#panel .card")) == 48
    page.press("reset")
    page.wait("return !document.querySelector('#panel h3')")
    assert page.complaints() == []


_FUNCTION = PLACE.replace("arguments[0]", "i").join(["(i) => {", "}"])


def test_zoom_pan_and_the_other_map(browser, digits_report):
    page = Page(browser, digits_report[0])
    span = "const [a, b] = document.getElementById('map')._fullLayout.xaxis.range; return b - a"
    before = page.run(span)
    ActionChains(browser).scroll_from_origin(
        webdriver.common.actions.wheel_input.ScrollOrigin.from_element(page.map), 0, -300
    ).perform()
    page.wait(f"{span.replace('return b - a', '')} return b - a < {0.95 * before}")
    left = page.run("return document.getElementById('map')._fullLayout.xaxis.range[0]")
    page.drag([(0, 0), (60, 0), (120, 0)])
    assert page.run("return document.getElementById('map')._fullLayout.xaxis.range[0]") < left
    page.press("reset")
    page.wait(f"{span.replace('return b - a', '')} return b - a > {0.99 * before}")
    x = page.run("return at(3, 0)")
    page.run("const s = document.getElementById('projection'); s.value = 1; s.dispatchEvent(new Event('change'))")
    assert page.run("return at(3, 0)") != x
    assert page.complaints() == []


def test_colours_and_the_legend(browser, hostile):
    page = Page(browser, hostile[0])
    chips = page.browser.find_elements(By.CSS_SELECTOR, "#legend .chip")
    assert len(chips) == 3
    assert page.run("return document.getElementById('map').data.length") == 4
    chips[1].click()
    assert page.run("return document.getElementById('map').data.length") == 3
    page.run("const s = document.getElementById('color'); s.value = 3; s.dispatchEvent(new Event('change'))")
    tints = np.array(page.run("return [...tints]")).reshape(-1, 3)
    order = np.argsort(hostile[2]["width"].to_numpy())
    # From dark blue to yellow.
    np.testing.assert_array_equal(tints[order[[0, -1]]], [[0x00, 0x22, 0x4E], [0xFE, 0xE8, 0x38]])
    assert np.all(np.diff(tints[order, 0].astype(int)) >= 0)
    assert page.browser.find_elements(By.CSS_SELECTOR, "#legend .scale")
    assert page.complaints() == []


def test_points_are_painted_where_plotly_finds_them(browser, digits_report):
    page = Page(browser, digits_report[0])
    # Nothing lies over the last.
    row = page.run("return painted.at(-1)")
    tint = np.array(page.run("return [...tints.subarray(3 * arguments[0], 3 * arguments[0] + 3)]", row))
    for _ in range(2):
        x, y = page.run(PLACE, row)
        pixel = page.run(
            "const canvas = $('points'), { clientWidth: w, clientHeight: h } = canvas;"
            "return canvas.getContext('2d').getImageData(w / 2 + arguments[0], h / 2 + arguments[1], 1, 1).data",
            round(x),
            round(y),
        )
        # Between its colour and 20 % of what is below.
        below = np.array(pixel[:3]) - 0.8 * tint
        assert np.all((below > -3) & (below < 0.2 * 255 + 3))
        page.drag([(0, 0), (30, 20), (60, 40)])


def test_20_000_points_are_painted_within_a_frame(browser, hostile):
    page = Page(browser, hostile[0])
    assert page.run("return document.querySelectorAll('#map canvas').length") == 0
    fastest = page.run("""
        const rows = [...Array(20000).keys()], tints = new Uint8Array(60000);
        const place = (row, at) => { at[0] = row % 900; at[1] = row % 500; };
        const times = [...Array(10)].map(() => {
            const start = performance.now();
            paintPoints($("points"), rows, { place, tints, opacity: () => 0.8, size: 3.5, background: "#ffffff" });
            return performance.now() - start;
        });
        return Math.min(...times)
    """)
    assert fastest < 33


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_themes(browser, digits_report, scheme):
    page = Page(browser, digits_report[0], scheme=scheme)
    back = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    text = "return document.getElementById('map')._fullLayout.font.color"
    is_dark = page.run(back) < 100
    assert is_dark == (scheme == "dark")
    before = page.run(text)
    page.picture(f"digits_{scheme}")
    page.run("document.getElementById('theme').click()")
    assert (page.run(back) < 100) != is_dark
    assert page.run(text) != before
    assert page.complaints() == []


def test_a_narrow_screen(browser, hostile, digits_report):
    for report, name in ((hostile, "table"), (digits_report, "digits")):
        page = Page(browser, report[0], width=400, height=800)
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        page.run("showNeighbors(5)")
        page.wait("return document.querySelector('#panel .card')")
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        small = page.run(
            "return [...document.querySelectorAll('main *')].filter((n) => !n.children.length && n.textContent.trim()"
            " && !n.closest('svg') && parseFloat(getComputedStyle(n).fontSize) < 11.5).map((n) => n.outerHTML)"
        )
        assert small == []
        page.picture(f"{name}_narrow")
        assert page.complaints() == []
