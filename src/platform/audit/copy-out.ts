import type { Client, Connection, Submittable } from 'pg';

/** Two columns of a row, as bytes; they are the driver's own buffers and hold only until the call returns. */
export type TakeRow = (first: Buffer, second: Buffer) => void;

const signatureBytes = 11;
const absent = Buffer.alloc(0);

/**
 * Streams a query of two columns through `COPY … (FORMAT binary)`: one message of the protocol a row, without a result and its
 * types being built. What is too fast for the reader waits in the socket.
 */
export function copyOut(client: Client, query: string, take: TakeRow): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(new CopyOut(`COPY (${query}) TO STDOUT (FORMAT binary)`, take, resolve, reject));
  });
}

class CopyOut implements Submittable {
  private begun = false;
  private error: Error | undefined;

  constructor(
    private readonly text: string,
    private readonly take: TakeRow,
    private readonly resolve: () => void,
    private readonly reject: (error: Error) => void,
  ) {}

  submit(connection: Connection): void {
    (connection as Connection & { query(text: string): void }).query(this.text);
  }

  /** The header comes with the first row; the trailer, which has no columns, in a message of its own. */
  handleCopyData({ chunk }: { chunk: Buffer }): void {
    let at = 0;
    if (!this.begun) {
      this.begun = true;
      const extensionAt = signatureBytes + 4;
      at = extensionAt + 4 + chunk.readUInt32BE(extensionAt);
    }
    if (at + 2 > chunk.length || chunk.readInt16BE(at) !== 2) return;
    at += 2;
    const firstBytes = chunk.readInt32BE(at);
    const first = firstBytes < 0 ? absent : chunk.subarray(at + 4, (at += 4 + firstBytes));
    if (firstBytes < 0) at += 4;
    const secondBytes = chunk.readInt32BE(at);
    this.take(first, secondBytes < 0 ? absent : chunk.subarray(at + 4, at + 4 + secondBytes));
  }

  handleCommandComplete(): void {
    // The end is ReadyForQuery.
  }

  handleError(error: Error): void {
    this.error = error;
    this.reject(error);
  }

  handleReadyForQuery(): void {
    if (!this.error) this.resolve();
  }
}
