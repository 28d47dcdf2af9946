/** What is refused, and why. */
export type VatErrorCode =
  | 'truncated'
  | 'not-vat'
  | 'newer-version'
  | 'unknown-model'
  | 'corrupt'
  | 'weights'
  | 'unsupported'
  | 'usage'
  | 'internal';

export class VatError extends Error {
  constructor(code: VatErrorCode, message: string);
  /** `weights`: weights that cannot be had; `unsupported`: no WebAssembly with SIMD; `usage`: arguments out of range. */
  readonly code: VatErrorCode;
}

export type VatBytes = Uint8Array | ArrayBuffer | ArrayBufferView;
export type VatMode = 'tokens' | 'mesh';
export type Triple = [number, number, number];

/** A decoded mesh, in the frame of the original. */
export interface VatMesh {
  /** x, y, z of each vertex. */
  positions: Float32Array;
  /** Three vertices of each face, counter-clockwise seen from outside. */
  indices: Uint32Array;
  mode: VatMode;
  /** Whether every edge has exactly two faces. */
  closed: boolean;
  /** Cells a side of the grid that the surface was found on; null in mesh mode. */
  cells: number | null;
}

/** What a file says of itself. */
export interface VatInfo {
  mode: VatMode;
  bytes: number;
  version: number;
  /** Eight hexadecimal digits. */
  modelId: string;
  packing: 'bytes' | 'coded' | 'mesh';
  /** Number of tokens; null in mesh mode. */
  tokens: number | null;
  /** Number of coded faces; null in tokens mode. */
  faces: number | null;
  /** Bits of a coordinate; null in tokens mode. */
  bits: number | null;
  /** 0 flat, 1 smooth, 2 to 12 a subdivision surface with creases; null in tokens mode. */
  crease: number | null;
  payloadBytes: number;
  /** Null where the file has no placement. */
  center: Triple | null;
  halfExtents: Triple | null;
  mirrored: [boolean, boolean, boolean];
  /** In 1/2000 of the decoder's cube. */
  isoOffset: number;
}

export interface DecodeOptions {
  /** Tokens mode: cells a side of the grid, 16 to 256. Null, the default: as many as give about 250 000 faces. */
  resolution?: number | null;
  /** Tokens mode: only so many tokens, coarse to fine. */
  tokens?: number | null;
  /** Mesh mode: faces of a subdivision surface, at most; 40 000 by default. */
  faces?: number;
  /** Ends the work; the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

export interface DecoderOptions {
  /** Folder with `index.json`: that of this package by default. */
  weights?: string | URL;
  /** Workers at most, 1 by default. */
  workers?: number;
}

export class Decoder {
  constructor(options?: DecoderOptions);
  /** Whether the engine has WebAssembly with SIMD. Without it files in tokens mode do not decode. */
  readonly supported: boolean;
  /** Resolves once a worker runs. */
  readonly ready: Promise<void>;
  decode(bytes: VatBytes, options?: DecodeOptions): Promise<VatMesh>;
  info(bytes: VatBytes): VatInfo;
  /** Numbers of tokens at which the scales that a file holds end, coarse to fine; none in mesh mode. */
  scales(bytes: VatBytes): Promise<number[]>;
  /** Fetch weights before they are needed. */
  preload(mode?: VatMode | 'all'): Promise<void>;
  /** Before anything was decoded. */
  setWeightsPath(path: string | URL): this;
  setWorkerLimit(limit: number): this;
  /** End all workers; what still waits is rejected with an AbortError. */
  dispose(): void;
}

export const VatDecoder: Decoder;
export const supported: boolean;
export function decode(bytes: VatBytes, options?: DecodeOptions): Promise<VatMesh>;
export function info(bytes: VatBytes): VatInfo;
