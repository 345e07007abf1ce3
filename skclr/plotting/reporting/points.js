"use strict";
// The points of the map, drawn as pixels: smooth for 20,000 points, with or without a GPU. Plotly, which draws everything
// else, would create one element per point, or need WebGL.

const rgb = (color) => [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));

// The colour at a position of a scale, in [0, 1]; stops are [position, colour].
function onScale(stops, place) {
  const j = Math.max(1, stops.findIndex(([stop]) => place <= stop));
  const [[low, from], [high, to]] = [stops[j - 1], stops[j]];
  const [start, end] = [rgb(from), rgb(to)];
  return start.map((value, channel) => value + ((place - low) / (high - low)) * (end[channel] - value));
}

// The square around a point, with the coverage of each pixel by the point's disc, out of 256.
function disc(radius) {
  const reach = Math.ceil(radius);
  const side = 2 * reach + 1;
  const distance = (j) => Math.hypot((j % side) - reach, Math.floor(j / side) - reach);
  const covered = (_, j) => 256 * Math.min(1, Math.max(0, radius + 0.5 - distance(j)));
  return { reach, cover: Float32Array.from({ length: side * side }, covered) };
}

// Paint rows, later ones over earlier ones. `place` writes the position of a row into an array, in CSS pixels of the canvas.
function paintPoints(canvas, rows, { place, tints, opacity, size, background }) {
  const ratio = devicePixelRatio;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const image = new ImageData(width, height);
  const pixels = new Uint8Array(image.data.buffer);
  new Uint32Array(image.data.buffer).fill(new Uint32Array(Uint8Array.of(...rgb(background), 255).buffer)[0]);
  const shape = disc((size / 2) * ratio);
  const at = [0, 0];
  for (const row of rows) {
    place(row, at);
    const [x, y] = [Math.round(at[0] * ratio), Math.round(at[1] * ratio)];
    const inside = x >= shape.reach && y >= shape.reach && x < width - shape.reach && y < height - shape.reach;
    if (inside) stamp(pixels, 4 * (y * width + x), 4 * width, shape, tints, 3 * row, opacity(row));
  }
  canvas.getContext("2d", { alpha: false }).putImageData(image, 0, 0);
}

// Plain loops and integers, since this takes most of the time of a frame.
function stamp(pixels, center, stride, { reach, cover }, tints, tint, opacity) {
  const [red, green, blue] = [tints[tint], tints[tint + 1], tints[tint + 2]];
  for (let j = 0, row = -reach; row <= reach; row++) {
    let pixel = center + row * stride - 4 * reach;
    for (const end = pixel + 8 * reach; pixel <= end; pixel += 4) {
      const share = (opacity * cover[j++]) | 0; // of 256
      if (share === 0) continue;
      pixels[pixel] += ((red - pixels[pixel]) * share) >> 8;
      pixels[pixel + 1] += ((green - pixels[pixel + 1]) * share) >> 8;
      pixels[pixel + 2] += ((blue - pixels[pixel + 2]) * share) >> 8;
    }
  }
}
