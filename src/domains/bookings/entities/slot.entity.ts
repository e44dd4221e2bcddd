export const slotStatuses = ['available', 'booked', 'blocked'] as const;
export type SlotStatus = (typeof slotStatuses)[number];

export interface Slot {
  readonly practiceId: string;
  readonly id: string;
  /** `YYYY-MM-DD` in the practice's calendar. */
  readonly date: string;
  /** `HH:MM` on the practice's clock. */
  readonly time: string;
  readonly status: SlotStatus;
}
