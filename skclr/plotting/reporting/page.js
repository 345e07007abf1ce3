"use strict";
// The behaviour of the page, which only looks up and draws precomputed values. Text from the data is written as text,
// never as HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

function numbers(base64, Kind) {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  return new Kind(bytes.buffer);
}

function element(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Plotly interprets some HTML; this escapes a name.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

// -- themes ------------------------------------------------------------------------------------

const charts = [];

function layout(more) {
  const axis = { gridcolor: style("--line"), zeroline: false, linecolor: style("--line") };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, sans-serif", size: 13, color: style("--text") },
    showlegend: false,
    ...more,
    xaxis: { ...axis, ...more.xaxis },
    yaxis: { ...axis, ...more.yaxis },
  };
}

function redraw() {
  for (const draw of charts) draw();
}

$("theme").addEventListener("click", () => {
  const dark = style("--scheme") === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  redraw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

// -- curves ------------------------------------------------------------------------------------

function curves(chart) {
  const traces = chart.lines.map((line, i) => ({
    x: chart.x,
    y: line.y,
    name: plain(line.name),
    mode: chart.x.length > 20 ? "lines" : "lines+markers",
    line: { color: line.color, dash: line.dash, width: 2 },
    error_y: line.low && {
      type: "data",
      symmetric: false,
      array: line.y.map((y, j) => line.high[j] - y),
      arrayminus: line.y.map((y, j) => y - line.low[j]),
      width: 3,
      thickness: 1,
    },
  }));
  const shown = layout({
    margin: { l: 52, r: 12, t: 8, b: 44 },
    hovermode: "x unified",
    hoverlabel: { bgcolor: style("--card"), font: { color: style("--text") } },
    showlegend: traces.length > 1,
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    xaxis: { title: { text: plain(chart.x_title) }, type: chart.categories ? "category" : "linear", dtick: chart.x.length > 10 ? undefined : 1 },
    yaxis: { title: { text: plain(chart.y_title) }, automargin: true },
  });
  Plotly.react(chart.id, traces, shown, { displayModeBar: false, responsive: true });
}

for (const chart of data.charts) charts.push(() => curves(chart));

// -- samples -----------------------------------------------------------------------------------

const map = data.map;
const rowNumbers = map.rows && numbers(map.rows, Int32Array);
const columns = map.columns.map((column) => ({
  ...column,
  values: column.names ? numbers(column.codes, Int32Array) : numbers(column.numbers, Float64Array),
}));
document.documentElement.style.setProperty("--scale", data.scale.map(([, color]) => color).join(", "));
const sheets = (map.tiles ? map.tiles.sheets : []).map((source) => {
  const image = new Image();
  image.src = source;
  return image;
});

const rowNumber = (i) => (rowNumbers ? rowNumbers[i] : i);

function value(column, i) {
  const raw = column.values[i];
  if (column.names) return column.names[raw];
  return Number.isNaN(raw) ? "–" : String(Number(raw.toPrecision(6)));
}

function thumbnail(i) {
  const { width, height, per_row, per_sheet, scale } = map.tiles;
  const canvas = element("canvas", "tile");
  canvas.width = width;
  canvas.height = height;
  canvas.style.width = `${Math.round(width * scale)}px`;
  if (scale > 2) canvas.classList.add("pixels");
  const place = i % per_sheet;
  const [x, y] = [(place % per_row) * width, Math.floor(place / per_row) * height];
  const image = sheets[Math.floor(i / per_sheet)];
  const paint = () => canvas.getContext("2d").drawImage(image, x, y, width, height, 0, 0, width, height);
  if (image.complete) paint();
  else image.addEventListener("load", paint, { once: true });
  return canvas;
}

// A card for one row of the data: its image, text and values.
function card(i, note) {
  const node = element("div", "card");
  const head = element("div", "card-head", `row ${rowNumber(i)}`);
  if (note) head.append(element("span", "note", note));
  node.append(head);
  if (map.tiles) node.append(thumbnail(i));
  if (map.texts) node.append(element("p", "text", map.texts[i]));
  const list = element("dl");
  for (const column of columns) list.append(element("dt", "", column.name), element("dd", "", value(column, i)));
  if (columns.length) node.append(list);
  return node;
}

// -- colours -----------------------------------------------------------------------------------

let hidden = new Set();

function extent(values) {
  const there = values.filter((v) => !Number.isNaN(v));
  return [there.reduce((a, b) => Math.min(a, b)), there.reduce((a, b) => Math.max(a, b))];
}

const scaled = (v, [low, high]) => (Number.isNaN(v) ? rgb(data.grey) : onScale(data.scale, (v - low) / (high - low || 1)));

// Groups of rows that share a colour, or one group on a scale.
function groups(column) {
  if (!column) return [{ name: "all rows", color: data.colors[0], rows: [...Array(map.n).keys()] }];
  if (!column.names) return [{ name: column.name, scale: extent(column.values), rows: [...Array(map.n).keys()] }];
  const rows = column.names.map(() => []);
  column.values.forEach((code, i) => rows[code].push(i));
  const without = column.names.indexOf(column.unlabelled);
  const codes = [...rows.keys()].filter((code) => rows[code].length && code !== without);
  const largest = [...codes].sort((a, b) => rows[b].length - rows[a].length).slice(0, data.colors.length);
  const found = codes
    .filter((code) => largest.includes(code))
    .map((code, i) => ({ name: column.names[code], color: data.colors[i], rows: rows[code] }));
  const rest = codes.filter((code) => !largest.includes(code));
  if (rest.length) {
    found.push({ name: `${rest.length} others`, color: data.grey, rows: rest.flatMap((code) => rows[code]) });
  }
  if (without >= 0) found.push({ name: column.unlabelled, color: data.pale, rows: rows[without] });
  return found;
}

function legend(shown, column) {
  const box = $("legend");
  box.replaceChildren();
  if (!column) return;
  if (shown[0].scale) {
    const ends = shown[0].scale.map((v) => element("span", "", String(Number(v.toPrecision(4)))));
    box.append(ends[0], element("span", "scale"), ends[1]);
    return;
  }
  for (const group of shown) {
    const chip = element("button", "chip");
    chip.setAttribute("aria-pressed", String(!hidden.has(group.name)));
    const dot = element("span", "dot");
    dot.style.background = group.color;
    chip.append(dot, element("span", "", group.name), element("span", "count", group.rows.length.toLocaleString("en")));
    chip.addEventListener("click", () => {
      if (!hidden.delete(group.name)) hidden.add(group.name);
      drawMap();
    });
    box.append(chip);
  }
}

// -- the map -----------------------------------------------------------------------------------

const plot = $("map");
const points = map.projections.map((projection) => numbers(projection.points, Float32Array));
const nearest = numbers(map.neighbors.rows, Int32Array);
const similarities = numbers(map.neighbors.similarities, Float32Array);
const size = Math.max(3, Math.min(9, 500 / Math.sqrt(map.n)));
let traces = [];
let painted = []; // their rows
let tints = new Uint8Array(0); // red, green and blue of every row
let selected = null; // the rows in the lasso
let chosen = []; // a row and its neighbours, ringed on the map
let mode = "pan";

const at = (i, axis) => points[Number($("projection").value)][2 * i + axis];

function ring() {
  return {
    type: "scatter",
    mode: "markers",
    x: chosen.map((i) => at(i, 0)),
    y: chosen.map((i) => at(i, 1)),
    hoverinfo: "skip",
    marker: {
      symbol: "circle-open",
      size: chosen.map((_, j) => (j ? size + 7 : size + 11)),
      color: style("--text"),
      line: { width: chosen.map((_, j) => (j ? 1.5 : 3)) },
    },
  };
}

function tinted(shown, column) {
  const found = new Uint8Array(3 * map.n);
  for (const { color, scale, rows } of shown) {
    const tint = color ? () => rgb(color) : (i) => scaled(column.values[i], scale);
    for (const i of rows) found.set(tint(i), 3 * i);
  }
  return found;
}

function paint() {
  const { xaxis, yaxis, _size: inside } = plot._fullLayout;
  const [left, right] = xaxis.range;
  const [bottom, top] = yaxis.range;
  const xy = points[Number($("projection").value)];
  paintPoints($("points"), painted, {
    place: (i, place) => {
      place[0] = inside.l + ((xy[2 * i] - left) / (right - left)) * inside.w;
      place[1] = inside.t + ((top - xy[2 * i + 1]) / (top - bottom)) * inside.h;
    },
    tints,
    opacity: (i) => (selected && !selected.has(i) ? 0.12 : 0.8),
    size,
    background: style("--card"),
  });
}

function drawMap() {
  const column = columns[Number($("color").value)];
  const shown = groups(column);
  legend(shown, column);
  traces = shown.filter((group) => !hidden.has(group.name));
  painted = traces.flatMap((group) => group.rows);
  tints = tinted(shown, column);
  // Plotly knows the positions of the points, but does not draw them.
  const drawn = traces.map((group) => ({
    type: "scatter",
    mode: "markers",
    x: group.rows.map((i) => at(i, 0)),
    y: group.rows.map((i) => at(i, 1)),
    hoverinfo: "none",
    marker: { opacity: 0, maxdisplayed: 1 },
  }));
  const bare = { showgrid: false, showline: false, showticklabels: false, title: { text: "" } };
  const shape = layout({
    margin: { l: 4, r: 4, t: 4, b: 4 },
    dragmode: mode,
    hovermode: "closest",
    hoverdistance: 12,
    uirevision: $("projection").value,
    selectionrevision: $("projection").value,
    xaxis: bare,
    yaxis: bare,
    newselection: { line: { color: style("--text"), width: 1, dash: "dot" } },
    activeselection: { fillcolor: "rgba(0,0,0,0)" },
  });
  const config = { displayModeBar: false, scrollZoom: true, responsive: true, doubleClick: "reset" };
  Plotly.react("map", [...drawn, ring()], shape, config);
}

const rowOf = (point) => traces[point.curveNumber] && traces[point.curveNumber].rows[point.pointNumber];

function list(title, rows, notes, about) {
  const panel = $("panel");
  panel.replaceChildren(element("h3", "", title));
  if (about) panel.append(element("p", "muted", about));
  const grid = element("div", map.texts || columns.length > 4 ? "cards wide" : "cards");
  panel.append(grid);
  const more = element("button", "", "show more");
  const step = 24;
  const show = () => {
    const from = grid.children.length;
    rows.slice(from, from + step).forEach((i, j) => grid.append(card(i, notes && notes[from + j])));
    more.hidden = grid.children.length >= rows.length;
  };
  more.addEventListener("click", show);
  panel.append(more);
  show();
}

function showNeighbors(i) {
  const k = map.neighbors.k;
  const rows = [...nearest.subarray(i * k, (i + 1) * k)];
  const notes = [...similarities.subarray(i * k, (i + 1) * k)].map((s) => s.toFixed(2));
  chosen = [i, ...rows];
  Plotly.restyle("map", ringUpdate(), [traces.length]);
  list(`Nearest neighbours of row ${rowNumber(i)}`, chosen, ["", ...notes], "by cosine similarity of the embedding");
}

function ringUpdate() {
  const { x, y, marker } = ring();
  return { x: [x], y: [y], "marker.size": [marker.size], "marker.line.width": [marker.line.width] };
}

function select(rows) {
  selected = rows && new Set(rows);
  paint();
}

function showSelection(rows) {
  select(rows);
  const column = columns[Number($("color").value)];
  const counts = new Map();
  if (column && column.names) for (const i of rows) counts.set(value(column, i), (counts.get(value(column, i)) || 0) + 1);
  const about = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 12);
  const sentence = about.map(([name, n]) => `${name}: ${n.toLocaleString("en")}`).join(" · ");
  list(`${rows.length.toLocaleString("en")} rows selected`, rows, null, sentence);
  const save = element("button", "", "save row numbers");
  save.addEventListener("click", () => {
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([["row", ...rows.map(rowNumber)].join("\n") + "\n"], { type: "text/csv" }));
    link.download = "rows.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  $("panel").querySelector("h3").after(save);
}

function hover(event) {
  const i = rowOf(event.points[0]);
  if (i === undefined) return;
  const box = $("hover");
  box.replaceChildren(card(i));
  box.hidden = false;
  const frame = $("map-frame").getBoundingClientRect();
  const [x, y] = [event.event.clientX - frame.left, event.event.clientY - frame.top];
  box.style.left = `${Math.max(0, x + 16 + box.offsetWidth > frame.width ? x - 16 - box.offsetWidth : x + 16)}px`;
  box.style.top = `${Math.max(0, Math.min(y - 20, frame.height - box.offsetHeight))}px`;
}

function setMode(name) {
  mode = name;
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mode === name));
  }
  Plotly.relayout("map", { dragmode: name });
}

function start() {
  columns.forEach((column, j) => $("color").append(new Option(column.name, j)));
  $("color").append(new Option("nothing", -1));
  data.map.projections.forEach((projection, j) => $("projection").append(new Option(projection.name, j)));
  $("projection").closest("label").hidden = points.length < 2;
  $("row").max = rowNumber(map.n - 1);
  charts.push(drawMap);
  redraw();
  plot.on("plotly_relayouting", paint);
  plot.on("plotly_afterplot", paint);
  plot.on("plotly_hover", hover);
  plot.on("plotly_unhover", () => ($("hover").hidden = true));
  plot.on("plotly_click", (event) => rowOf(event.points[0]) !== undefined && showNeighbors(rowOf(event.points[0])));
  plot.on("plotly_selected", (event) => {
    if (event && event.points.length) showSelection(event.points.map(rowOf).filter((i) => i !== undefined));
  });
  plot.on("plotly_deselect", () => select(null));
  $("color").addEventListener("change", () => {
    hidden = new Set();
    drawMap();
  });
  $("projection").addEventListener("change", drawMap);
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.addEventListener("click", () => setMode(button.dataset.mode));
  }
  $("reset").addEventListener("click", () => {
    chosen = [];
    selected = null;
    $("panel").replaceChildren();
    Plotly.relayout("map", { "xaxis.autorange": true, "yaxis.autorange": true, selections: [] });
    Plotly.restyle("map", { selectedpoints: [null] }).then(drawMap);
  });
  $("row").addEventListener("change", () => {
    const wanted = Number($("row").value);
    const i = rowNumbers ? rowNumbers.indexOf(wanted) : wanted;
    if (i >= 0 && i < map.n) showNeighbors(i);
  });
  setMode("pan");
  document.documentElement.dataset.ready = "true";
}

start();
