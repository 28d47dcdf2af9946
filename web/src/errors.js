/**
 * What is refused, and why: the same kinds of refusal as the exceptions of the Python package.
 *
 * Codes: `truncated` it ends too early, `not-vat` no such file, `newer-version` a newer program wrote it,
 * `unknown-model` its weights are not here, `corrupt` damaged, `weights` weights that cannot be had or are not
 * what they should be, `unsupported` no WebAssembly with SIMD, `usage` arguments out of range.
 */
export class VatError extends Error {
  /**
   * @param {string} code one of the codes above
   * @param {string} message what is wrong, in one line
   */
  constructor(code, message) {
    super(message);
    this.name = 'VatError';
    this.code = code;
  }
}

/** A payload that no encoder writes. */
export function damaged(what = 'its coded mesh') {
  return new VatError('corrupt', `${what} is damaged; fetch the file again`);
}
