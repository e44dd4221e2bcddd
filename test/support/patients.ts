import { randomUUID } from 'node:crypto';
import { type Answer, call } from './api';

/** A patient as the API shows one. */
export interface PatientBody {
  readonly id: string;
  readonly firstName: string;
  readonly lastName: string;
  readonly dateOfBirth: string;
  readonly phone: string | null;
  readonly email: string | null;
  readonly insuranceProvider: string | null;
  readonly nextAppointment: string | null;
  readonly lastVisit: string | null;
}

export interface PatientPage {
  readonly data: readonly PatientBody[];
  readonly nextCursor: string | null;
}

export interface Refused {
  readonly code: string;
  readonly correlationId: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

/** A request that lacks nothing that is required. */
export const ada = { firstName: 'Ada', lastName: 'Lovelace', dateOfBirth: '1985-12-10' };

/** The routes of patients, as one caller. */
export function patientsAs(gate: { url: string }, token: string) {
  return {
    create: <Body = PatientBody>(body: unknown, key: string = randomUUID()): Promise<Answer<Body>> =>
      call<Body>(gate, '/patients', { token, body, headers: { 'idempotency-key': key } }),
    update: <Body = PatientBody>(id: string, body: unknown, headers = {}): Promise<Answer<Body>> =>
      call<Body>(gate, `/patients/${id}`, { token, method: 'PATCH', body, headers }),
    get: (id: string) => call<PatientBody>(gate, `/patients/${id}`, { token }),
    list: (query: Record<string, string> = {}) =>
      call<PatientPage>(gate, `/patients?${new URLSearchParams(query).toString()}`, { token }),
  };
}

export type PatientsClient = ReturnType<typeof patientsAs>;
