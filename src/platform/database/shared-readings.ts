import pg from 'pg';
import type { WorkClass } from '../context';
import { type Connections, connectionWaitMs } from './connections';
import { DatabaseBusy, DatabaseUnavailable, StatementCancelled, translate } from './database.errors';
import { type Message, sendAccompanied } from './message';

/** Connections that a class reads over before one of them is shared. */
const usualLanes = 2;
/** Readings that share one: Postgres has the next at hand when it has answered one, and is not put to sleep between them. */
const mostOnLane = 8;
/** What stands behind one for longer is sent again over another connection. */
const slowMs = 20;

/** A message that changes nothing, a transaction by itself. */
export type ReadingMessage = Pick<Message, 'opening' | 'behind' | 'statement' | 'values'>;

/** A reading that is under way. */
export interface UnderWay {
  readonly rows: Promise<unknown[]>;
  /** Rejects it with StatementCancelled, and lets Postgres give up what it does of it. */
  cancel(): void;
}

interface Wanted {
  readonly message: ReadingMessage;
  readonly resolve: (rows: unknown[]) => void;
  readonly reject: (error: unknown) => void;
  /** Refuses it when it has waited for a connection for too long. */
  timer: NodeJS.Timeout | undefined;
  /** Where it is expected to be answered; of another lane only the rows count. */
  lane: Lane | undefined;
  /** Behind a slow one it is sent again once; whatever it stands behind then, it waits for. */
  wasSentAgain: boolean;
  isOver: boolean;
  isCancelled: boolean;
}

/** A connection with what was sent over it and is not answered, in its order. */
interface Lane {
  readonly client: pg.PoolClient;
  readonly sent: Wanted[];
  /** Runs while something stands behind what Postgres is at. */
  watch: NodeJS.Timeout | undefined;
  isBroken: boolean;
}

/**
 * What one class of work reads. Each reading is a message with a tenant of its own and shares nothing with others but the
 * connection: it is sent without waiting for the answer to the one before. Fewer processes of Postgres do the same work then,
 * with warmer caches and fewer changes from one to the other.
 *
 * What stands behind a slow one, or one that is cancelled or loses the connection, is sent again over another; the first
 * answer counts. A connection is given back once all is answered, and takes nothing more while somebody waits for one.
 */
export class SharedReadings {
  /** Those that take more. */
  private readonly lanes = new Set<Lane>();
  private readonly waiting: Wanted[] = [];
  /** Lanes that have no connection yet. */
  private opening = 0;

  constructor(
    private readonly connections: Connections,
    private readonly workClass: WorkClass,
  ) {}

  /**
   * Sends a reading, or lets it wait until it can be sent.
   * @throws (by its rows) DatabaseBusy, DatabaseUnavailable, StatementCancelled; what `translate` makes of Postgres's refusal
   */
  send(message: ReadingMessage): UnderWay {
    let cancel: () => void = () => undefined;
    const rows = new Promise<unknown[]>((resolve, reject) => {
      const state = { timer: undefined, lane: undefined, wasSentAgain: false, isOver: false, isCancelled: false };
      const wanted: Wanted = { message, resolve, reject, ...state };
      cancel = () => this.cancel(wanted);
      this.enter(wanted);
    });
    return { rows, cancel };
  }

  private enter(wanted: Wanted): void {
    const lane = this.waiting.length === 0 ? this.laneWithRoom() : undefined;
    if (lane) this.sendOver(lane, wanted);
    else if (this.waiting.length >= this.mostWaiting) wanted.reject(new DatabaseBusy());
    else {
      this.waiting.push(this.patient(wanted));
      this.openMore();
    }
  }

  /** As for connections themselves, without those that are about to be sent. */
  private get mostWaiting(): number {
    return this.connections.mostWaiting(this.workClass) + this.opening * mostOnLane;
  }

  private patient(wanted: Wanted): Wanted {
    wanted.timer = setTimeout(() => this.end(wanted, () => wanted.reject(new DatabaseBusy())), connectionWaitMs);
    return wanted;
  }

  /** The one with the fewest, unless another connection is to be had. */
  private laneWithRoom(): Lane | undefined {
    if (this.lanes.size + this.opening < usualLanes && this.connections.hasRoom(this.workClass)) return undefined;
    let best: Lane | undefined;
    for (const lane of this.lanes) if (lane.sent.length < (best?.sent.length ?? mostOnLane)) best = lane;
    return best;
  }

  /** Where no connection is free, one place in the line is for all that wait here. */
  private openMore(): void {
    const wanted = Math.ceil(this.waiting.length / mostOnLane);
    while (this.opening < wanted && this.connections.hasRoom(this.workClass)) void this.open();
    if (wanted > 0 && this.opening === 0 && this.lanes.size === 0) void this.open();
  }

  private async open(): Promise<void> {
    this.opening += 1;
    try {
      const client = await this.connections.take(this.workClass);
      this.opening -= 1;
      const lane: Lane = { client, sent: [], watch: undefined, isBroken: false };
      this.lanes.add(lane);
      this.fill(lane); // as many as may, whoever else waits: it was this class's turn
      this.leave(lane);
    } catch (error) {
      this.opening -= 1;
      // Else another lane takes them.
      if (this.opening > 0 || this.lanes.size > 0) return;
      for (const wanted of [...this.waiting]) this.end(wanted, () => wanted.reject(error));
    }
  }

  /** Sends what waits, unless the connection is wanted by somebody else. */
  private goOn(lane: Lane): void {
    if (lane.isBroken || this.connections.isAwaited(this.workClass)) this.lanes.delete(lane);
    if (this.lanes.has(lane)) this.fill(lane);
    this.leave(lane);
  }

  private fill(lane: Lane): void {
    while (lane.sent.length < mostOnLane) {
      const next = this.waiting.shift();
      if (!next) break;
      clearTimeout(next.timer);
      this.sendOver(lane, next);
    }
  }

  /** Gives the connection back where it has nothing to do. */
  private leave(lane: Lane): void {
    if (lane.sent.length === 0) {
      this.lanes.delete(lane);
      clearTimeout(lane.watch);
      this.connections.give(lane.client, this.workClass, lane.isBroken);
    }
    this.openMore();
  }

  private sendOver(lane: Lane, wanted: Wanted): void {
    wanted.lane = lane;
    lane.sent.push(wanted);
    if (lane.sent.length === 2) this.watch(lane);
    const { preparedStatements, statementTimeoutMs } = this.connections.settings;
    const onUnopened = () => (lane.isBroken = true);
    const limitMs = 2 * statementTimeoutMs;
    sendAccompanied(lane.client, { ...wanted.message, preparedStatements, onUnopened, limitMs }).then(
      (rows) => {
        this.end(wanted, () => wanted.resolve(rows));
        this.answered(lane, wanted);
      },
      (error: unknown) => {
        const told = translate(error);
        if (!(error instanceof pg.DatabaseError) || told instanceof DatabaseUnavailable) lane.isBroken = true;
        if (lane.isBroken) this.sendAgain(lane, behind(lane, wanted));
        if (wanted.lane === lane) this.end(wanted, () => wanted.reject(told));
        this.answered(lane, wanted);
      },
    );
  }

  private watch(lane: Lane): void {
    clearTimeout(lane.watch);
    lane.watch = setTimeout(() => {
      this.sendAgain(
        lane,
        lane.sent.slice(1).filter(({ wasSentAgain }) => !wasSentAgain),
      );
    }, slowMs);
  }

  private answered(lane: Lane, wanted: Wanted): void {
    remove(lane.sent, wanted);
    const [next] = lane.sent;
    if (next) lane.watch?.refresh();
    if (next?.isCancelled) this.cancelWhatRuns(lane);
    this.goOn(lane);
  }

  /** The lane takes nothing more. */
  private sendAgain(lane: Lane, those: readonly Wanted[]): void {
    this.lanes.delete(lane);
    const again = those.filter((wanted) => !wanted.isOver && wanted.lane === lane);
    for (const wanted of again) {
      wanted.wasSentAgain = true;
      wanted.lane = undefined;
      this.patient(wanted);
    }
    this.waiting.unshift(...again);
    for (const other of [...this.lanes]) this.goOn(other);
    this.openMore();
  }

  private cancel(wanted: Wanted): void {
    if (wanted.isOver) return;
    const { lane } = wanted;
    this.end(wanted, () => wanted.reject(new StatementCancelled()));
    if (!lane) return;
    wanted.isCancelled = true;
    // The cancellation may arrive late: the connection is given up, and nothing stays on it that it could hit.
    lane.isBroken = true;
    this.sendAgain(lane, behind(lane, wanted));
    if (lane.sent[0] === wanted) this.cancelWhatRuns(lane);
  }

  private cancelWhatRuns({ client }: Lane): void {
    this.connections.cancel(client).catch(this.connections.settings.onBroken);
  }

  private end(wanted: Wanted, tell: () => void): void {
    if (wanted.isOver) return;
    wanted.isOver = true;
    clearTimeout(wanted.timer);
    if (wanted.lane === undefined) remove(this.waiting, wanted);
    tell();
  }
}

function behind({ sent }: Lane, wanted: Wanted): readonly Wanted[] {
  return sent.slice(sent.indexOf(wanted) + 1);
}

function remove(from: Wanted[], wanted: Wanted): void {
  const place = from.indexOf(wanted);
  if (place >= 0) from.splice(place, 1);
}
