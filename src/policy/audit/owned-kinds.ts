import { Injectable, type OnModuleInit } from '@nestjs/common';
import { statement } from '../../platform/database';
import { SystemDatabase } from '../../platform/database/system';

/** As `newId()` makes them; those of tests and imports may lack the digits. */
const form = /^([a-z]{2,8}_)\w{1,56}$/;

const prefixes = statement<{ prefix: string }>('audit.owned-kinds', 'SELECT prefix FROM owned_kinds');

/** The kinds of things that a practice owns, by the prefix of their ids: each domain's migration registers its own. */
@Injectable()
export class OwnedKinds implements OnModuleInit {
  private known: ReadonlySet<string> = new Set();

  constructor(private readonly system: SystemDatabase) {}

  async onModuleInit(): Promise<void> {
    const rows = await this.system.run((sql) => sql.query(prefixes));
    this.known = new Set(rows.map(({ prefix }) => prefix));
  }

  /** Whether it may be a practice's. */
  isOwned(value: unknown): value is string {
    return typeof value === 'string' && this.known.has(form.exec(value)?.[1] ?? '');
  }
}
