// Tests of code that retries by adapters: scripted answers in place of servers, and no waiting.

/** Time that leaps, for adapters and functions: nobody waits before retries. */
export interface VirtualTime {
  /** The waits before retries so far, in milliseconds. */
  readonly waits: readonly number[];
  /** Milliseconds since it began. */
  now(): number;
  /** Goes on by so many milliseconds. */
  advance(ms: number): void;
  /** From now on time is the host's again. */
  close(): void;
}

/** Has time leap, for all adapters and functions of the process, until it is closed. Their own client or mock answers. */
export function noWait(): VirtualTime;

/** A status, the kind of a failure, `'hang'` for no answer until a limit ends the attempt, or more about an answer; `after` is milliseconds. */
export type Step = number | Failure | 'hang' | { status?: number; headers?: Record<string, string>; body?: string | Uint8Array; after?: number; fail?: Failure };
/** A failure as the platform's fetch has it. */
export type Failure = 'connect' | 'connect_timeout' | 'tls' | 'reset' | 'protocol' | 'per_try_timeout';

/** Answers in order, the last one again and again, by its `fetch`. Time leaps until it is closed. */
export class Script implements VirtualTime {
  constructor(steps: readonly Step[]);
  readonly fetch: typeof globalThis.fetch;
  /** What was sent so far. */
  readonly sends: readonly { readonly method: string; readonly url: string; readonly headers: Headers; readonly body: string }[];
  readonly waits: readonly number[];
  now(): number;
  advance(ms: number): void;
  close(): void;
}
