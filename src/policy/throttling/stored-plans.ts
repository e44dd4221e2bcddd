import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { Log } from '../../platform/telemetry';
import { AppPlansStore, wholePast } from './app-plans.store';
import { PlanSource } from './plan-source';
import { defaultPlan, type UsagePlanName } from './usage-plans';

const pollEveryMs = 500;

/** The stored plans in memory: those that differ from the default. A change on any node is seen within a second. */
@Injectable()
export class StoredPlans extends PlanSource implements OnModuleInit, OnApplicationShutdown {
  private readonly plans = new Map<string, UsagePlanName>();
  private horizon = wholePast;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private failing = false;

  constructor(
    private readonly store: AppPlansStore,
    private readonly log: Log,
  ) {
    super();
  }

  override stored(clientId: string): UsagePlanName | undefined {
    return this.plans.get(clientId);
  }

  /** Takes a plan in now, on this node. */
  take(clientId: string, plan: UsagePlanName): void {
    if (plan === defaultPlan) this.plans.delete(clientId);
    else this.plans.set(clientId, plan);
  }

  /** @throws when the plans cannot be read: an enterprise app must not be held to the default by a restart */
  async onModuleInit(): Promise<void> {
    await this.read();
    this.schedule();
  }

  onApplicationShutdown(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.poll(), pollEveryMs);
    this.timer.unref();
  }

  private async poll(): Promise<void> {
    try {
      await this.read();
      this.failing = false;
    } catch (error) {
      // The plans known so far stay in force; said once, not at every poll.
      if (!this.failing && !this.stopped) this.log.warn({ err: error }, 'The usage plans could not be read again');
      this.failing = true;
    }
    this.schedule();
  }

  private async read(): Promise<void> {
    const { plans, horizon } = await this.store.since(this.horizon);
    for (const { clientId, plan } of plans) this.take(clientId, plan);
    this.horizon = horizon;
  }
}
