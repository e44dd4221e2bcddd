import { Injectable } from '@nestjs/common';
import { Config } from '../config';
import { Mailer } from '../mail';
import { Outbound } from '../outbox';
import { dedupKey, mailText, type Page, pagerDutyEvent, summaryOf } from './page';
import type { ChannelName } from './pages.store';

/** A way to the security contact. */
export interface Channel {
  readonly name: ChannelName;
  /**
   * Resolves once the other side has taken the page.
   * @throws MailFailed, EffectFailed
   */
  send(page: Page): Promise<void>;
}

/** The ways to the security contact that the settings name. */
@Injectable()
export class Channels {
  readonly all: readonly Channel[];

  constructor(config: Config, mailer: Mailer, outbound: Outbound) {
    const channels: Channel[] = [];
    const to = config.get('SECURITY_EMAIL');
    if (to !== undefined && mailer.canSend) {
      channels.push({
        name: 'mail',
        send: (page) =>
          mailer.send({
            to,
            subject: summaryOf(page),
            text: mailText(page),
            id: dedupKey(page),
            date: page.lastAt.getTime(),
          }),
      });
    }
    const [url, key] = [config.get('SECURITY_WEBHOOK_URL'), config.get('SECURITY_WEBHOOK_KEY')];
    if (url !== undefined && key !== undefined) {
      channels.push({
        name: 'webhook',
        send: async (page) => {
          await outbound.post({
            url,
            token: undefined,
            body: pagerDutyEvent(page, key),
            idempotencyKey: dedupKey(page),
            correlation: undefined,
          });
        },
      });
    }
    this.all = channels;
  }
}
