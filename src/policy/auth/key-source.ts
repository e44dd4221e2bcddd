/** Where the public keys of the issuer come from. */
export abstract class KeySource {
  /** Whether a token may name this issuer. */
  abstract accepts(issuer: string): boolean;

  /**
   * The JSON Web Keys as published now, unchecked.
   * @throws when they cannot be had
   */
  abstract load(): Promise<readonly unknown[]>;
}
