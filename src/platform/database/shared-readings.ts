import pg from 'pg';
import type { WorkClass } from '../context';
import { type Connections, connectionWaitMs } from './connections';
import { DatabaseBusy, DatabaseUnavailable, StatementCancelled, translate } from './database.errors';
import { type Message, sendAccompanied } from './message';

/** Connections that a class reads over before one of them is shared. */
const usualLanes = 2;
/**
 * Readings that share one: Postgres has the next at hand when it has answered one, and is not put to sleep between them. Not
 * behind a pooler that keeps no account of statements (PgBouncer before 1.21): it takes a message's answer for the end of all
 * that was sent, and gives the connection to somebody else in the middle of the next one.
 */
const mostSharing = 8;
/** A connection takes no more once Postgres is at one for longer, and what stands behind it is sent over others. */
const slowMs = 50;

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
  /** Refuses it when it has waited for too long to be sent. */
  timer: NodeJS.Timeout | undefined;
  /** Where it is to be answered; what another lane, where it was sent before, says of it does not count. */
  lane: Lane | undefined;
  isOver: boolean;
}

/** A connection with what was sent over it and is not answered, in its order. */
interface Lane {
  readonly client: pg.PoolClient;
  readonly sent: Wanted[];
  /** Asks whether Postgres is at one for too long. */
  watch: NodeJS.Timeout | undefined;
  /** Whether it takes no more, and is left when the first that it has is answered. */
  isRetired: boolean;
  isBroken: boolean;
  isLeft: boolean;
}

/**
 * What one class of work reads. Each reading is a message with a tenant of its own and shares nothing with others but the
 * connection: it is sent without waiting for the answer to the one before. Fewer processes of Postgres do the same work then,
 * with warmer caches and fewer changes from one to the other.
 *
 * What stands behind one that is slow, or is cancelled, or loses the connection, is sent again, over a connection of its own.
 * A connection takes nothing more while somebody waits for one, and is given back once all is answered.
 */
export class SharedReadings {
  /** Those that take more. */
  private readonly lanes: Lane[] = [];
  private readonly waiting: Wanted[] = [];
  /** Lanes that have no connection yet. */
  private opening = 0;

  private readonly mostOnLane: number;

  constructor(
    private readonly connections: Connections,
    private readonly workClass: WorkClass,
  ) {
    this.mostOnLane = connections.settings.preparedStatements ? mostSharing : 1;
  }

  /**
   * Sends a reading, or lets it wait until it can be sent.
   * @throws (by its rows) DatabaseBusy, DatabaseUnavailable, StatementCancelled; what `translate` makes of Postgres's refusal
   */
  send(message: ReadingMessage): UnderWay {
    let cancel: () => void = () => undefined;
    const rows = new Promise<unknown[]>((resolve, reject) => {
      const wanted: Wanted = { message, resolve, reject, timer: undefined, lane: undefined, isOver: false };
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
      wanted.timer = setTimeout(() => this.end(wanted, () => wanted.reject(new DatabaseBusy())), connectionWaitMs);
      this.waiting.push(wanted);
      this.openMore();
    }
  }

  /** As for connections themselves, without those that are about to be sent. */
  private get mostWaiting(): number {
    return this.connections.mostWaiting(this.workClass) + this.opening * this.mostOnLane;
  }

  /** The one with the fewest, unless another connection is to be had. */
  private laneWithRoom(): Lane | undefined {
    if (this.lanes.length + this.opening < usualLanes && this.connections.hasRoom(this.workClass)) return undefined;
    let best: Lane | undefined;
    for (const lane of this.lanes) if (lane.sent.length < (best?.sent.length ?? this.mostOnLane)) best = lane;
    return best;
  }

  /** Where none is at hand, those that wait here wait in the line, with as many places as connections they would fill. */
  private openMore(): void {
    const wanted = Math.ceil(this.waiting.length / this.mostOnLane);
    while (this.opening < wanted && (this.lanes.length === 0 || this.connections.hasRoom(this.workClass)))
      void this.open();
  }

  private async open(): Promise<void> {
    const those = [...this.waiting];
    this.opening += 1;
    let lane: Lane;
    try {
      lane = await this.take(false);
    } catch (error) {
      this.opening -= 1;
      if (this.opening > 0 || this.lanes.length > 0) return; // another lane takes them
      for (const wanted of those) if (!wanted.lane) this.end(wanted, () => wanted.reject(error));
      this.openMore(); // for who came meanwhile, and has not waited for long
      return;
    }
    this.opening -= 1;
    this.lanes.push(lane);
    this.fill(lane); // as many as may, whoever else waits: it was this class's turn
    if (lane.sent.length === 0) this.leave(lane);
    this.openMore();
  }

  private async take(isRetired: boolean): Promise<Lane> {
    const client = await this.connections.take(this.workClass);
    return { client, sent: [], watch: undefined, isRetired, isBroken: false, isLeft: false };
  }

  private fill(lane: Lane): void {
    while (lane.sent.length < this.mostOnLane) {
      const next = this.waiting.shift();
      if (!next) break;
      clearTimeout(next.timer);
      this.sendOver(lane, next);
    }
  }

  private sendOver(lane: Lane, wanted: Wanted): void {
    wanted.lane = lane;
    lane.sent.push(wanted);
    if (lane.sent.length === 1) this.watch(lane);
    const { preparedStatements, statementTimeoutMs } = this.connections.settings;
    const onUnopened = () => (lane.isBroken = true);
    const limitMs = 2 * statementTimeoutMs;
    sendAccompanied(lane.client, { preparedStatements, onUnopened, limitMs, ...wanted.message }).then(
      (rows) => {
        if (wanted.lane === lane) this.end(wanted, () => wanted.resolve(rows));
        this.answered(lane, wanted);
      },
      (error: unknown) => {
        const told = translate(error);
        if (!(error instanceof pg.DatabaseError) || told instanceof DatabaseUnavailable) lane.isBroken = true;
        if (wanted.lane === lane && !lane.isRetired && wasUnprepared(error)) void this.sendAlone(wanted);
        else if (wanted.lane === lane) this.end(wanted, () => wanted.reject(told));
        this.answered(lane, wanted);
      },
    );
  }

  private watch(lane: Lane): void {
    clearTimeout(lane.watch);
    lane.watch = setTimeout(() => {
      const [first] = lane.sent;
      // Where it was this process that was late, the answer is read before this is asked.
      setImmediate(() => {
        if (lane.sent[0] === first) this.retire(lane, 1);
      });
    }, slowMs);
  }

  private answered(lane: Lane, wanted: Wanted): void {
    if (lane.isLeft) return;
    remove(lane.sent, wanted);
    lane.watch?.refresh();
    if (lane.isBroken) this.retire(lane, 0);
    if (this.connections.isAwaited(this.workClass)) remove(this.lanes, lane);
    if (this.lanes.includes(lane)) this.fill(lane);
    if (lane.isRetired || lane.sent.length === 0) this.leave(lane);
    this.openMore();
  }

  /** Lets it take no more, and sends what it has, from that place on, over others. */
  private retire(lane: Lane, from: number): void {
    remove(this.lanes, lane);
    lane.isRetired = true;
    for (const wanted of lane.sent.slice(from)) if (wanted.lane === lane && !wanted.isOver) void this.sendAlone(wanted);
  }

  /** As if connections were not shared. */
  private async sendAlone(wanted: Wanted): Promise<void> {
    wanted.lane = undefined;
    try {
      const lane = await this.take(true);
      if (wanted.isOver) this.leave(lane);
      else this.sendOver(lane, wanted);
    } catch (error) {
      this.end(wanted, () => wanted.reject(error));
    }
  }

  /** Gives the connection back. What it still has is to be answered elsewhere, or by nobody: then it is closed. */
  private leave(lane: Lane): void {
    remove(this.lanes, lane);
    lane.isLeft = true;
    clearTimeout(lane.watch);
    if (lane.sent.length > 0) {
      lane.isBroken = true;
      this.cancelWhatRuns(lane);
    }
    this.connections.give(lane.client, this.workClass, lane.isBroken);
  }

  private cancel(wanted: Wanted): void {
    if (wanted.isOver) return;
    const { lane } = wanted;
    this.end(wanted, () => wanted.reject(new StatementCancelled()));
    if (!lane) return;
    this.retire(lane, 1);
    if (lane.sent[0] !== wanted) return;
    lane.isBroken = true; // the cancellation may arrive late, and must hit nobody else
    this.cancelWhatRuns(lane);
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

const unknownStatement = '26000';

/** Whether it relied on one before it that was to prepare its statement, and failed. */
function wasUnprepared(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === unknownStatement;
}

function remove<Item>(from: Item[], item: Item): void {
  const place = from.indexOf(item);
  if (place >= 0) from.splice(place, 1);
}
