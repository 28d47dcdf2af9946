/** The walk through a mesh: twin of the decoder's half of meshcodec/format/mesh_conquest.py. */

import { damaged } from '../errors.js';
import { gateFeatures, surroundings } from './context.js';
import { BORDER, Front, FRESH, KNOWN, LEFT, NEW, NONE, OPEN, OTHER, RIGHT } from './front.js';
import { Known } from './known.js';
import { byLogits } from './network.js';
import { Place } from './place.js';
import { Parts } from './seeds.js';

const MOST_GATES = 128; // gates of a wave
const BRANCHES = [30, 5, 2]; // edges without a further face for one with it each way, to begin with

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
  }

  /** @returns {{positions: number[][], faces: number[][]}} both in the order of the walk */
  run() {
    while (this.left() > 0) {
      while (this.left() > 0 && this.parts.wanted(this.front.open)) {
        this.front.seed(...this.parts.begin());
        this.branches.afterFace();
        this.known.measureFaces();
      }
      if (this.left() > 0) this.conquer(this.front.wave(MOST_GATES));
    }
    return { positions: this.known.vertices.map((vertex) => vertex.place), faces: this.front.corners };
  }

  left() {
    this.known.facesLeft = this.faces - this.front.corners.length;
    return this.known.facesLeft;
  }

  conquer(wave) {
    const { known, front } = this;
    const allowed = wave.map((gate) => this.allowed(gate));
    const near = surroundings(known, wave);
    const wide = known.globalFacts();
    const features = near.map((each) => gateFeatures(known, each, wide));
    const logits = this.coder.networks.gate.logits(features);
    const firstFresh = known.vertices.length;
    const made = [];
    wave.forEach((gate, number) => {
      if (front.state[gate] !== OPEN || this.left() === 0) return;
      const fresh = made.length ? front.freshNear(gate, firstFresh) : [];
      const starts = byLogits(logits[number], [...allowed[number], fresh.length > 0], this.coder.curves.exponential);
      const symbol = this.teller.symbol(starts);
      this.conquerGate(gate, symbol, allowed[number], fresh, firstFresh);
      if (symbol === NEW) made.push({ number, vertex: known.vertices.length - 1 });
      known.counts[symbol] += 1;
    });
    if (made.length) this.place(near, features, made);
    known.measureFaces();
  }

  /** Which symbols there can be, FRESH left out. */
  allowed(gate) {
    const { front } = this;
    const left = front.before[gate];
    const right = front.after[gate];
    const canLeft = front.state[left] !== BORDER && front.origin[left] !== front.end[gate];
    let canRight = front.state[right] !== BORDER && front.end[right] !== front.origin[gate];
    canRight = canRight && !(canLeft && front.origin[left] === front.end[right]);
    return [this.head.open, true, canLeft, canRight, true, this.head.tangled];
  }

  conquerGate(gate, symbol, allowed, fresh, firstFresh) {
    const { front, known } = this;
    const [a, b] = [front.origin[gate], front.end[gate]];
    if (symbol === NONE) {
      front.close(gate, BORDER);
      for (const end of [a, b]) known.vertices[end].bordered += 1;
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
      vertex = this.named(symbol, gate, allowed, fresh, firstFresh);
      place = front.places().get(vertex) ?? -1;
    }
    if (vertex === a || vertex === b) throw damaged();
    front.attach(gate, vertex, place, symbol);
    this.branches.afterFace();
  }

  /** The vertex that OTHER, KNOWN or FRESH leads to, by its rank among those that there are. */
  named(symbol, gate, allowed, fresh, firstFresh) {
    let choices = fresh;
    if (symbol !== FRESH) {
      const { front, known } = this;
      const [a, b, c] = [front.origin[gate], front.end[gate], front.apex[gate]];
      const taken = new Set([a, b]);
      if (allowed[LEFT]) taken.add(front.origin[front.before[gate]]);
      if (allowed[RIGHT]) taken.add(front.end[front.after[gate]]);
      const all = symbol === OTHER ? [...front.places().keys()] : known.vertices.map((_, number) => number);
      const free = all.filter((number) => number < firstFresh && !taken.has(number));
      const place = (number) => known.vertices[number].place;
      const corner = [0, 1, 2].map((axis) => place(a)[axis] + place(b)[axis] - place(c)[axis]);
      choices = known.byDistance(free, corner);
      if (symbol === KNOWN) for (let n = firstFresh; n < known.vertices.length; n++) choices.push(n);
    }
    if (!choices.length) throw damaged();
    return choices[this.teller.rank(symbol - OTHER, choices.length)];
  }

  /** The coordinates of the new vertices of a wave. */
  place(near, features, made) {
    const { known, teller } = this;
    const places = made.map(({ number }) => new Place(known, near[number], features[number]));
    for (let k = 0; k < 3; k++) {
      const found = teller.coordinates(k, places.map((place) => place.next()));
      places.forEach((place, i) => place.values.push(found[i]));
    }
    made.forEach(({ vertex }, i) => teller.put(vertex, places[i].position()));
    places.forEach((place, i) => {
      const errors = place.errors();
      known.vertices[made[i].vertex].error = errors;
      const exact = [0, 2].map((k) => Number(place.values[k] === place.corner[k]));
      [...errors, ...exact, 1].forEach((value, n) => (known.residuals[n] += value));
    });
  }
}
