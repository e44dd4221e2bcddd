import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import type { Gauge } from 'prom-client';
import { Clock, Config } from '../config';
import { Loop, type Turn } from '../outbox/loop';
import { Log, Metrics } from '../telemetry';
import { Channels } from './channels';
import { PageSender } from './page-sender';
import { PagesStore } from './pages.store';

const sampleMs = 5_000;

/**
 * Pages the security contact for each attempt to reach what is another practice's, within 5 s; on workers. The audit log is
 * the outbox: an attempt that was refused stands there, and stays until a page tells of it. A user is paged for at most
 * once a minute, with all attempts counted. Without a contact nothing is taken for told: it is paged once there is one.
 */
@Injectable()
export class SecurityPager implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly senders: PageSender[];
  private readonly loops: Loop[];
  private readonly oldest: Gauge;
  private readonly contacts: Gauge;

  constructor(
    private readonly config: Config,
    private readonly channels: Channels,
    private readonly store: PagesStore,
    private readonly log: Log,
    clock: Clock,
    metrics: Metrics,
  ) {
    this.oldest = metrics.gauge('security_page_oldest_seconds', 'How long the page that should have arrived is due');
    this.contacts = metrics.gauge('security_contacts', 'Ways to the security contact that this worker has');
    const labels = ['channel', 'outcome'] as const;
    const outcomes = metrics.counter('security_pages_total', 'Attempts to send a security page, by their end', labels);
    this.senders = channels.all.map((channel) => new PageSender(channel, store, outcomes, log, clock));
    this.loops = [new Loop('page-metrics', () => this.sample(), log, clock, sampleMs)];
    if (channels.all.length > 0) this.loops.push(new Loop('page-cut', () => this.cut(), log, clock));
  }

  onApplicationBootstrap(): void {
    if (!this.config.runsQueues) return;
    this.contacts.set(this.channels.all.length);
    if (this.config.get('SECURITY_EMAIL') !== undefined && this.config.get('SMTP_URL') === undefined) {
      this.log.warn({}, 'SECURITY_EMAIL is set without SMTP_URL: no mail is sent');
    }
    if (this.channels.all.length === 0) {
      const level = this.config.get('NODE_ENV') === 'development' ? 'info' : 'warn';
      this.log[level]({}, 'No security contact is set (SECURITY_EMAIL or SECURITY_WEBHOOK_URL): security pages wait');
    }
    for (const loop of [...this.loops, ...this.senders]) loop.start();
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all([...this.loops, ...this.senders].map((loop) => loop.stop()));
  }

  private async cut(): Promise<Turn> {
    const { pages, full } = await this.store.cut(this.channels.all.map(({ name }) => name));
    if (pages > 0) for (const sender of this.senders) sender.wake();
    return full ? 'again' : 'idle';
  }

  private async sample(): Promise<Turn> {
    this.oldest.set(await this.store.oldestSeconds());
    return 'idle';
  }
}
