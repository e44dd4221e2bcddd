import { Module } from '@nestjs/common';
import { SystemDatabaseModule } from '../database/system';
import { Mailer } from '../mail';
import { OutboxModule } from '../outbox';
import { Channels } from './channels';
import { PagesStore } from './pages.store';
import { SecurityPager } from './security-pager';

/** Pages that wake the security contact. */
@Module({
  imports: [SystemDatabaseModule, OutboxModule],
  providers: [Mailer, Channels, PagesStore, SecurityPager],
})
export class PagingModule {}
