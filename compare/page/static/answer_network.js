"use strict";

/* The LSTM without biases of "RNN及LSTM的matlab实现", in the equations of manual/DERIVATION.md: gates i f g o. */
/* exported SWITCHES, newNetwork, backward, descend, cosine, sumsRight, carryingUnit, trace */

/** The five mistakes of the published backward pass, by name. */
const SWITCHES = ["carryH", "carryC", "slopeAtC", "slopeOfH", "slopeOfWeights"];

const sigmoid = (z) => 1 / (1 + Math.exp(-z));

/** Random numbers in [0, 1) from a seed: Mulberry32. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A network of H units: ih (4H × 2), hh (4H × H) and out (H), row by row, uniform in ±1. */
function newNetwork(H, seed) {
  const random = generator(seed);
  const draw = (size) => Float64Array.from({ length: size }, () => 2 * random() - 1);
  return { H, ih: draw(8 * H), hh: draw(4 * H * H), out: draw(H), random };
}

/** One step from h and c (H): the gates (4H), the new c, tanh(c) and h, and the logit. */
function step({ H, ih, hh, out }, a, b, h, c) {
  const gates = new Float64Array(4 * H);
  for (let n = 0; n < 4 * H; n++) {
    let z = ih[2 * n] * a + ih[2 * n + 1] * b; // (L1)
    for (let u = 0; u < H; u++) z += hh[n * H + u] * h[u];
    gates[n] = n >= 2 * H && n < 3 * H ? Math.tanh(z) : sigmoid(z); // (L2) to (L5)
  }
  const [newC, tanhC, newH] = [new Float64Array(H), new Float64Array(H), new Float64Array(H)];
  let logit = 0;
  for (let u = 0; u < H; u++) {
    newC[u] = gates[H + u] * c[u] + gates[u] * gates[2 * H + u]; // (L6)
    tanhC[u] = Math.tanh(newC[u]);
    newH[u] = gates[3 * H + u] * tanhC[u]; // (L7)
    logit += newH[u] * out[u];
  }
  return { gates, c: newC, tanhC, h: newH, logit };
}

/** Run the bits of two numbers, lowest first, from a zero state: the steps. */
function trace(network, a, b) {
  let [h, c] = [new Float64Array(network.H), new Float64Array(network.H)];
  return a.map((digit, t) => {
    const done = { ...step(network, digit, b[t], h, c), hPrev: h, cPrev: c };
    [h, c] = [done.h, done.c];
    return done;
  });
}

/** The gradient of the cross-entropy, summed over the bits, as the true one or with mistakes: ih, hh and out. */
function backward(network, steps, a, b, y, mistakes = {}) {
  const { H, ih, hh, out } = network;
  const gradient = { ih: new Float64Array(8 * H), hh: new Float64Array(4 * H * H), out: new Float64Array(H) };
  const dz = new Float64Array(4 * H);
  let [carriedH, carriedC] = [new Float64Array(H), new Float64Array(H)];
  for (let t = steps.length - 1; t >= 0; t--) {
    const { gates, c, tanhC, h, logit, hPrev, cPrev } = steps[t];
    const delta = sigmoid(logit) - y[t];
    const [nextH, nextC] = [new Float64Array(H), new Float64Array(H)];
    for (let u = 0; u < H; u++) {
      const [i, f, g, o] = [gates[u], gates[H + u], gates[2 * H + u], gates[3 * H + u]];
      gradient.out[u] += delta * h[u];
      let dh = delta * out[u] + carriedH[u]; // (L8)
      if (mistakes.slopeOfH) dh *= h[u] * (1 - h[u]);
      const slope = mistakes.slopeAtC ? 1 - c[u] ** 2 : 1 - tanhC[u] ** 2;
      const dc = carriedC[u] + dh * o * slope; // (L9)
      dz[u] = dc * g * i * (1 - i); // (L10)
      dz[H + u] = dc * cPrev[u] * f * (1 - f); // (L11)
      dz[2 * H + u] = dc * i * (1 - g * g); // (L12)
      dz[3 * H + u] = dh * tanhC[u] * o * (1 - o); // (L13)
      nextC[u] = mistakes.carryC ? 0 : dc * f; // (L14)
    }
    for (let n = 0; n < 4 * H; n++) {
      gradient.ih[2 * n] += dz[n] * a[t]; // (L17)
      gradient.ih[2 * n + 1] += dz[n] * b[t];
      for (let u = 0; u < H; u++) {
        gradient.hh[n * H + u] += dz[n] * hPrev[u]; // (L18)
        if (!mistakes.carryH) nextH[u] += hh[n * H + u] * dz[n]; // (L15)
      }
    }
    [carriedH, carriedC] = [nextH, nextC];
  }
  if (mistakes.slopeOfWeights) {
    for (const [name, columns] of [
      ["ih", 2],
      ["hh", H],
    ]) {
      const weights = name === "ih" ? ih : hh;
      for (let k = 0; k < weights.length; k++) {
        const isG = k >= 2 * H * columns && k < 3 * H * columns;
        gradient[name][k] *= isG ? 1 - weights[k] ** 2 : weights[k] * (1 - weights[k]);
      }
    }
  }
  return gradient;
}

/** Take a step of descent. */
function descend(network, gradient, rate) {
  for (const name of ["ih", "hh", "out"]) {
    for (let k = 0; k < network[name].length; k++) network[name][k] -= rate * gradient[name][k];
  }
}

/** The cosine between two gradients of the layer, without the readout, whose gradient is right. */
function cosine(one, other) {
  const sums = [0, 0, 0];
  for (const name of ["ih", "hh"]) {
    for (let k = 0; k < one[name].length; k++) {
      sums[0] += one[name][k] * other[name][k];
      sums[1] += one[name][k] ** 2;
      sums[2] += other[name][k] ** 2;
    }
  }
  return sums[0] / Math.sqrt(sums[1] * sums[2]);
}

/**
 * Of all 16,384 sums of two 7-bit numbers, how many are right to the last bit. Sums that begin alike share their first
 * steps, and one that has a wrong bit is dropped. With ``round``, an output of exactly 0.5 reads as 1.
 */
function sumsRight(network, round) {
  const zero = new Float64Array(network.H);
  const count = (t, h, c, carry) => {
    if (t === 8) return 1;
    let right = 0;
    for (const [a, b] of t < 7
      ? [
          [0, 0],
          [0, 1],
          [1, 0],
          [1, 1],
        ]
      : [[0, 0]]) {
      const done = step(network, a, b, h, c);
      const column = a + b + carry;
      const answer = done.logit > 0 || (round && done.logit === 0) ? 1 : 0;
      if (answer === (column & 1)) right += count(t + 1, done.h, done.c, column >> 1);
    }
    return right;
  };
  return count(0, zero, zero, 0);
}

/** The unit whose h goes most with the carry, over random sums: its number and the correlation. */
function carryingUnit(network, sums) {
  const values = Array.from({ length: network.H }, () => []);
  const carries = [];
  for (const { a, b } of sums) {
    let carry = 0;
    for (const [t, { h }] of trace(network, a, b).entries()) {
      carry = (a[t] + b[t] + carry) >> 1;
      carries.push(carry);
      h.forEach((value, u) => values[u].push(value));
    }
  }
  const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
  const centred = (list) => list.map((value) => value - mean(list));
  const [c, size] = [centred(carries), (list) => Math.sqrt(list.reduce((sum, value) => sum + value * value, 0))];
  const correlations = values.map((own) => {
    const v = centred(own);
    return v.reduce((sum, value, k) => sum + value * c[k], 0) / (size(v) * size(c) || 1);
  });
  const unit = correlations.reduce((best, value, u) => (Math.abs(value) > Math.abs(correlations[best]) ? u : best), 0);
  return { unit, correlation: correlations[unit] };
}
