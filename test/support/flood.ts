import { ErrorCode, type WebClient } from '@slack/web-api';
import type { GateProcess } from './process';
import { until } from './until';
import { botToken, slackClient, type Workspace } from './workspace';
import type { World } from './world';

/** What became of one post. */
export interface Post {
  readonly app: string;
  readonly channel: string;
  readonly text: string;
  readonly outcome: 'posted' | 'limited' | 'unavailable';
  /** When it was sent and when it was answered, by this process' monotonic clock. */
  readonly sentAt: number;
  readonly answeredAt: number;
}

interface App {
  readonly name: string;
  readonly channel: string;
  /** Of each process that it posts to at once. */
  readonly clients: readonly WebClient[];
  sent: number;
}

const appsPerChannelAndGate = 2;
let floods = 0;

/** Apps with Slack's own client that post one message after the other to each process they know, as fast as it answers. */
export class Flood {
  readonly posts: Post[] = [];
  /** Answers that no fault excuses. */
  readonly wrong: string[] = [];
  private allowed = 0;
  private readonly posting: Promise<unknown>;
  private isOver = false;

  private constructor(private readonly apps: readonly App[]) {
    this.posting = Promise.all(apps.flatMap((app) => app.clients.map((slack) => this.post(app, slack))));
  }

  /** Two apps on each process in each of two channels, none of which was ever seen. */
  static start(gates: readonly GateProcess[], workspace: Workspace): Promise<Flood> {
    const each = gates.flatMap((gate) => Array.from({ length: appsPerChannelAndGate }, () => [gate]));
    return Flood.startAt(each, workspace);
  }

  /** Two apps in each of two channels, none of which was ever seen; each on all of the processes at once. */
  static startOverAll(gates: readonly GateProcess[], workspace: Workspace): Promise<Flood> {
    return Flood.startAt(
      Array.from({ length: appsPerChannelAndGate }, () => gates),
      workspace,
    );
  }

  /** An app for each of the lists of processes in each of two channels. */
  private static async startAt(places: readonly (readonly GateProcess[])[], workspace: Workspace): Promise<Flood> {
    const flood = (floods += 1);
    const apps: App[] = [];
    for (const gates of places) {
      for (const channel of workspace.channels.slice(0, 2)) {
        const name = `app_flood${flood}_${apps.length}`;
        const client = async (gate: GateProcess) =>
          slackClient(gate, await botToken(gate, workspace, { client_id: name }), { rejectRateLimitedCalls: true });
        apps.push({ name, channel, clients: await Promise.all(gates.map(client)), sent: 0 });
      }
    }
    return new Flood(apps);
  }

  get names(): readonly string[] {
    return this.apps.map(({ name }) => name);
  }

  /** Lets each app post up to so many messages, counted from its first. */
  goOnTo(postsPerApp: number): void {
    this.allowed = postsPerApp;
  }

  /** Waits until each app has so many answers of that outcome, or of any. */
  async each(count: number, outcome?: Post['outcome']): Promise<void> {
    const counts = () => this.names.map((app) => this.of(app, outcome).length);
    await until(
      () => this.wrong.length > 0 || counts().every((answers) => answers >= count),
      45_000,
      () => `${counts().join()} answers ${outcome ?? ''}`,
    );
  }

  of(app: string, outcome?: Post['outcome']): readonly Post[] {
    return this.posts.filter((post) => post.app === app && (outcome === undefined || post.outcome === outcome));
  }

  /** Posts no more; resolves when the last answer is here. */
  async end(): Promise<void> {
    this.isOver = true;
    await this.posting;
  }

  /**
   * What of `channel` contradicts the answers: an accepted message that is not there once, one that nobody sent, one that
   * stands before another that was answered before it was sent.
   */
  async contradictions(world: World): Promise<string[]> {
    const rows = await world.sql<{ text: string }>(
      `SELECT text FROM messages WHERE app_id = ANY($1) ORDER BY channel_id, ts`,
      [this.names],
    );
    const found: string[] = [];
    const sent = new Map(this.posts.map((post) => [post.text, post]));
    const copies = new Map<string, number>();
    for (const { text } of rows) copies.set(text, (copies.get(text) ?? 0) + 1);
    for (const [text, count] of copies) {
      const outcome = sent.get(text)?.outcome ?? 'never sent';
      // What could not be answered may have been posted; what was refused may not.
      if (count > 1 || outcome === 'limited' || outcome === 'never sent') found.push(`${text} ×${count}: ${outcome}`);
    }
    for (const { text, outcome } of this.posts) {
      if (outcome === 'posted' && !copies.has(text)) found.push(`${text} is lost`);
    }
    const firstAnswerAfter = new Map<string, number>();
    for (const { text } of rows.reverse()) {
      const post = sent.get(text);
      if (!post) continue;
      const first = firstAnswerAfter.get(post.channel) ?? Infinity;
      if (post.sentAt > first) found.push(`${text} stands before what was answered before it was sent`);
      firstAnswerAfter.set(post.channel, Math.min(first, post.answeredAt));
    }
    return found;
  }

  private async post(app: App, slack: WebClient): Promise<void> {
    for (;;) {
      await until(() => this.isOver || app.sent < this.allowed, 120_000);
      if (this.isOver) return;
      // Its other client may have been quicker.
      if (app.sent >= this.allowed) continue;
      const text = `${app.name} says ${app.sent}`;
      app.sent += 1;
      const sentAt = performance.now();
      const outcome = await this.outcomeOf(slack, app.channel, text);
      if (outcome) {
        const { name, channel } = app;
        this.posts.push({ app: name, channel, text, outcome, sentAt, answeredAt: performance.now() });
      }
    }
  }

  private async outcomeOf(slack: WebClient, channel: string, text: string): Promise<Post['outcome'] | undefined> {
    try {
      await slack.chat.postMessage({ channel, text });
      return 'posted';
    } catch (error) {
      const { code, statusCode, headers, body } = error as Partial<HttpRefusal>;
      if (code === ErrorCode.RateLimitedError) return 'limited';
      const isTold =
        statusCode === 503 && /./.test(headers?.['x-correlation-id'] ?? '') && body?.error === 'service_unavailable';
      if (isTold) return 'unavailable';
      this.wrong.push(`${text}: ${String(error)} ${JSON.stringify(error)}`);
      return undefined;
    }
  }
}

interface HttpRefusal {
  readonly code: ErrorCode;
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: { readonly error?: string };
}
