import { Injectable, StreamableFile } from '@nestjs/common';
import { Readable } from 'node:stream';
import { spoken } from '../../platform/audit';
import { Context } from '../../platform/context';
import { Transactional, UnitOfWork } from '../../platform/database';
import { type Caller, keysOf, type Page, pageFrom, practiceOf } from '../../policy';
import { AuditQueryInvalid } from './audit.errors';
import { type AuditFilter, AuditRepository, type RecordedEntry, type SeqRange } from './audit.repository';
import type { SearchAudit } from './dto/audit-entry.view';

/** Entries that an export holds in memory at a time; each lot is a transaction of its own. */
const exportLot = 500;
/**
 * Entries that the first look of a search by subject takes in, the newest; each further one four times as many, until the page
 * is full. A look costs by the length of its range: a page of a subject that is named all the time needs one.
 */
const firstLook = 1_024;

@Injectable()
export class AuditService {
  constructor(
    private readonly repository: AuditRepository,
    private readonly unitOfWork: UnitOfWork,
    private readonly context: Context,
  ) {}

  /** The practice's entries, newest first. @throws AuditQueryInvalid */
  @Transactional()
  async search(caller: Caller, query: SearchAudit): Promise<Page<RecordedEntry>> {
    const practiceId = practiceOf(caller);
    const { actor, action, outcome, subject, from, to, limit, cursor } = query;
    const [first, end] = await Promise.all([
      from === undefined ? 1 : this.repository.firstSince(practiceId, instant(from, 'from')),
      to === undefined ? Number.MAX_SAFE_INTEGER : this.repository.firstSince(practiceId, instant(to, 'to')),
    ]);
    const before = cursor === undefined ? end : Math.min(end, seqOf(cursor));
    const filter = {
      actor: actor === undefined ? undefined : spoken(actor),
      subject: subject === undefined ? undefined : spoken(subject),
      action,
      outcome,
    };
    const rows = await this.newest(practiceId, { from: first, to: before - 1 }, filter, limit);
    return pageFrom(rows, limit, ({ seq }) => [String(seq)]);
  }

  private async newest(practiceId: string, range: SeqRange, filter: AuditFilter, limit: number) {
    if (filter.subject === undefined) return this.repository.search(practiceId, range, filter, limit);
    const rows: RecordedEntry[] = [];
    let to = Math.min(range.to, await this.repository.last(practiceId));
    for (let look = firstLook; to >= range.from && rows.length <= limit; look *= 4) {
      const from = Math.max(range.from, to - look + 1);
      rows.push(...(await this.repository.search(practiceId, { from, to }, filter, limit - rows.length)));
      to = from - 1;
    }
    return rows;
  }

  /**
   * The practice's whole chain as NDJSON, in order: `{"hash":"<64 hexadecimal digits>","body":<the bytes that were hashed>}`.
   * What is appended after the export began is not in it. Nothing is read ahead of the client.
   */
  export(caller: Caller): StreamableFile {
    const lines = Readable.from(this.lines(practiceOf(caller)), { objectMode: false, highWaterMark: 64 * 1024 });
    return new StreamableFile(lines, {
      type: 'application/x-ndjson',
      disposition: 'attachment; filename="audit.ndjson"',
    });
  }

  private async *lines(practiceId: string): AsyncGenerator<string> {
    // A stream asks from whatever event let it go on, which knows nothing of the request.
    const { current } = this.context;
    if (!current) throw new Error('An export needs the context of a request');
    const inTenant = <Result>(work: () => Promise<Result>) =>
      this.context.run(current, () => this.unitOfWork.run(work));
    const end = await inTenant(() => this.repository.last(practiceId));
    for (let seq = 0; seq < end;) {
      const links = await inTenant(() => this.repository.links(practiceId, seq, end, exportLot));
      const lastLink = links.at(-1);
      if (!lastLink) throw new Error('The chain has a gap'); // the connection breaks: half an export is not to look whole
      yield links.map(({ hash, body }) => `{"hash":"${hash}","body":${body}}\n`).join('');
      seq = lastLink.seq;
    }
  }
}

/** As entries have it: in UTC, to the millisecond. */
function instant(at: string, field: 'from' | 'to'): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) throw new AuditQueryInvalid(field);
  return date.toISOString();
}

function seqOf(cursor: string): number {
  const seq = Number(keysOf(cursor, 1)[0]);
  if (!Number.isSafeInteger(seq) || seq < 1) throw new AuditQueryInvalid('cursor');
  return seq;
}
