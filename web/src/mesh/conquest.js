/** The walk through a mesh: twin of the decoder's half of meshcodec/format/mesh_conquest.py. */

import { damaged } from '../errors.js';
import { GateRows, Surroundings } from './context.js';
import { BORDER, Front, FRESH, KNOWN, LEFT, MOST_GATES, NEW, NONE, OPEN, OTHER, RIGHT, SYMBOLS } from './front.js';
import { Known } from './known.js';
import { Place } from './place.js';
import { Parts } from './seeds.js';

const BRANCHES = [30, 5, 2]; // edges without a further face for one with it each way, to begin with

const NOTHING = [];

/** Further faces of edges that have two, or a border. */
class Branches {
  constructor(teller, front, any) {
    this.teller = teller;
    this.front = front;
    this.any = any;
    this.counts = new Map();
    this.uses = new Map(); // faces of each edge
    this.forked = new Set(); // ends of edges with further faces
  }

  edge(a, b) {
    return this.front.key(Math.min(a, b), Math.max(a, b));
  }

  /** Open gates for further faces of the edges that have two by now. */
  afterFace() {
    const { front } = this;
    if (this.any) {
      const [i, j, k] = front.corners[front.corners.length - 1];
      for (const [a, b] of [[i, j], [j, k], [k, i]]) {
        this.uses.set(this.edge(a, b), (this.uses.get(this.edge(a, b)) ?? 0) + 1);
      }
      for (const [a, b, face, same] of front.second) this.atEdge(Number(same), a, b, face);
    }
    front.second.length = 0;
  }

  /** Open a gate for one more face of an edge, where there is one: 1 for a -> b, 2 for b -> a. */
  atEdge(kind, a, b, face) {
    if (!this.any) return;
    const beside = Number(this.forked.has(a)) + Number(this.forked.has(b));
    const uses = Math.min(this.uses.get(this.edge(a, b)), 4);
    const key = (kind * 3 + beside) * 5 + uses;
    if (!this.counts.has(key)) {
      this.counts.set(key, uses >= 4 ? [4, 1, 1] : uses === 3 ? [1, 1, 1] : [BRANCHES[beside], 1, 1]);
    }
    const which = this.teller.adaptive(this.counts.get(key));
    if (which === 0) return;
    this.forked.add(a).add(b);
    if (which === 1) this.front.reopen(a, b, face);
    else this.front.reopen(b, a, face);
  }
}

/** One walk. */
export class Conquest {
  /**
   * @param {import('./coder.js').MeshCoder} coder
   * @param {import('./teller.js').Teller} teller
   * @param {number} faces
   * @param {number[]} sides largest coordinates
   * @param {{scale: number, open: boolean, tangled: boolean, touching: boolean, branched: boolean}} head
   */
  constructor(coder, teller, faces, sides, head) {
    this.coder = coder;
    this.teller = teller;
    this.faces = faces;
    this.head = head;
    this.front = new Front();
    this.known = new Known(this.front, sides, head);
    teller.known = this.known;
    this.parts = new Parts(teller, this.known, coder.guesses);
    this.branches = new Branches(teller, this.front, head.branched);
    this.near = new Surroundings(this.known);
    this.rows = new GateRows(this.known);
    this.places = []; // of new vertices, kept from wave to wave
    this.symbols = new Uint8Array(SYMBOLS * MOST_GATES); // which symbols there can be at the gates of a wave
  }

  /** @returns {{positions: number[][], faces: number[][]}} both in the order of the walk */
  run() {
    while (this.left() > 0) {
      while (this.left() > 0 && this.parts.wanted(this.front.open)) {
        this.front.seed(...this.parts.begin());
        this.branches.afterFace();
        this.known.measureFaces();
      }
      if (this.left() > 0) this.conquer(this.front.wave(this.known.vertices));
    }
    const positions = Array.from({ length: this.known.vertices }, (_, vertex) => this.known.place(vertex));
    return { positions, faces: this.front.corners };
  }

  left() {
    this.known.facesLeft = this.faces - this.front.corners.length;
    return this.known.facesLeft;
  }

  conquer(wave) {
    const { coder, known, front, near, symbols } = this;
    for (let number = 0; number < wave.length; number++) this.allow(wave[number], SYMBOLS * number);
    near.look(wave);
    const rows = this.rows.of(near, wave.length);
    const logits = coder.networks.gate.logits(rows.map((row) => row.values), wave.length);
    const firstFresh = known.vertices;
    const made = [];
    for (let number = 0; number < wave.length; number++) {
      const gate = wave[number];
      if (front.state[gate] !== OPEN || this.left() === 0) continue;
      const fresh = made.length ? front.freshNear(gate, firstFresh) : NOTHING;
      const present = symbols.subarray(SYMBOLS * number, SYMBOLS * (number + 1));
      present[FRESH] = fresh.length > 0 ? 1 : 0;
      const symbol = this.teller.symbol(coder.symbols.starts(logits, SYMBOLS * number, present));
      this.conquerGate(gate, symbol, present, fresh, firstFresh);
      if (symbol === NEW) made.push(number);
      known.counts[symbol] += 1;
    }
    if (made.length) this.place(rows, made, firstFresh);
    known.measureFaces();
  }

  /** Which symbols there can be at a gate, FRESH left out. */
  allow(gate, at) {
    const { front, head, symbols } = this;
    const left = front.before[gate];
    const right = front.after[gate];
    const canLeft = front.state[left] !== BORDER && front.origin[left] !== front.end[gate];
    let canRight = front.state[right] !== BORDER && front.end[right] !== front.origin[gate];
    canRight = canRight && !(canLeft && front.origin[left] === front.end[right]);
    symbols[at + NONE] = head.open ? 1 : 0;
    symbols[at + NEW] = 1;
    symbols[at + LEFT] = canLeft ? 1 : 0;
    symbols[at + RIGHT] = canRight ? 1 : 0;
    symbols[at + OTHER] = 1;
    symbols[at + KNOWN] = head.tangled ? 1 : 0;
  }

  conquerGate(gate, symbol, allowed, fresh, firstFresh) {
    const { front, known } = this;
    const a = front.origin[gate];
    const b = front.end[gate];
    if (symbol === NONE) {
      front.close(gate, BORDER);
      known.bordered[a] += 1;
      known.bordered[b] += 1;
      if (!front.extra.has(gate)) this.branches.atEdge(2, b, a, front.face[gate]);
      return;
    }
    let vertex = -1;
    let place = -1;
    if (symbol === NEW) {
      vertex = known.meet();
    } else if (symbol === LEFT || symbol === RIGHT) {
      place = symbol === LEFT ? front.before[gate] : front.after[front.after[gate]];
      vertex = front.origin[place];
    } else {
      vertex = symbol === FRESH ? this.oneOf(fresh) : this.named(symbol, gate, allowed, firstFresh);
      place = front.placeOf(vertex);
    }
    if (vertex === a || vertex === b) throw damaged();
    front.attach(gate, vertex, place, symbol);
    this.branches.afterFace();
  }

  /** The vertex of this wave that FRESH leads to. */
  oneOf(fresh) {
    if (!fresh.length) throw damaged();
    return fresh[this.teller.rank(FRESH - OTHER, fresh.length)];
  }

  /** The vertex that OTHER or KNOWN leads to, by its rank among those that there are. */
  named(symbol, gate, allowed, firstFresh) {
    const { front, known, teller } = this;
    const taken = [front.origin[gate], front.end[gate]];
    if (allowed[LEFT]) taken.push(front.origin[front.before[gate]]);
    if (allowed[RIGHT]) taken.push(front.end[front.after[gate]]);
    const free = symbol === OTHER ? front.touched(firstFresh, taken) : othersBelow(firstFresh, taken);
    const count = free.length + (symbol === KNOWN ? known.vertices - firstFresh : 0);
    if (!count) throw damaged();
    const rank = teller.rank(symbol - OTHER, count);
    if (rank >= free.length) return firstFresh + rank - free.length;
    const [a, b, c] = [front.origin[gate], front.end[gate], front.apex[gate]].map((vertex) => known.place(vertex));
    return known.ranked(free, [a[0] + b[0] - c[0], a[1] + b[1] - c[1], a[2] + b[2] - c[2]], rank);
  }

  /**
   * The coordinates of the new vertices of a wave.
   * @param {import('./numbers.js').Row[]} rows features of the gates
   * @param {number[]} made numbers of the gates that lead to a new vertex
   * @param {number} firstFresh the first vertex of these, which are numbered one after the other
   */
  place(rows, made, firstFresh) {
    const { known, teller, places, near } = this;
    while (places.length < made.length) places.push(new Place(known));
    for (let i = 0; i < made.length; i++) places[i].begin(near, made[i], rows[made[i]].values);
    for (let k = 0; k < 3; k++) {
      const questions = [];
      for (let i = 0; i < made.length; i++) questions.push(places[i].next());
      const found = teller.coordinates(k, questions, made.length);
      for (let i = 0; i < made.length; i++) places[i].take(found[i]);
    }
    for (let i = 0; i < made.length; i++) teller.put(firstFresh + i, places[i].position());
    for (let i = 0; i < made.length; i++) this.learn(firstFresh + i, places[i]);
  }

  /** Take in how well a new vertex was guessed. */
  learn(vertex, place) {
    const { errors, residuals } = this.known;
    const [inPlane, across] = place.errors();
    errors[2 * vertex] = inPlane;
    errors[2 * vertex + 1] = across;
    residuals[0] += inPlane;
    residuals[1] += across;
    residuals[2] += place.isExact(0) ? 1 : 0;
    residuals[3] += place.isExact(2) ? 1 : 0;
    residuals[4] += 1;
  }
}

/** All numbers below one but for some. */
function othersBelow(most, left) {
  const found = [];
  for (let number = 0; number < most; number++) if (!left.includes(number)) found.push(number);
  return found;
}
