// Tests of code that calls: scripted answers in place of servers, and no waiting.

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

/** A failure by its kind. `script.fetch` throws it as the platform's fetch has it. */
export type Failure = 'connect' | 'connect_timeout' | 'tls' | 'reset' | 'refused_stream' | 'protocol' | 'per_try_timeout';

/** A status from 200 to 599, a failure, `'body'` for an empty 200 whose body is cut, `'hang'` for no answer until a limit ends the attempt, or more about it. */
export type Step = number | Failure | 'body' | 'hang' | {
  /** Default 200. */
  status?: number;
  /** In place of an answer. */
  fail?: Failure | 'body' | 'hang';
  headers?: Record<string, string> | Headers | [string, string][];
  body?: string | Uint8Array;
  /** The body as JSON, with its content-type. */
  json?: unknown;
  /** Milliseconds from the end of the request to the answer or failure. Default 0. */
  after?: number;
  /** It is for requests of this method alone. */
  method?: string;
  /** It is for this URL alone. `*` stands for anything; one that begins with `/` is compared with path and query; one that has no query is for any query. */
  url?: string;
  /** How the body ends: whole (the default), as if the connection were lost, or never. */
  ends?: 'whole' | 'cut' | 'stall';
  /** What the failure proves about the request, in place of what its kind mostly proves. */
  evidence?: 'not_sent' | 'refused' | 'unknown';
};

export interface ScriptOptions {
  /** Another one gives the clients other waits. A whole number from 0 on; default 0. */
  seed?: number;
  /** What the wall clock of clients begins with, as a date or in milliseconds since 1970. Default: now. */
  now?: Date | number;
  /** Each step answers once, a send that no step is left for fails with kind `invalid_request`, and `close()` throws while steps remain. Default false. */
  strict?: boolean;
}

/** One send as a server would have seen it. */
export interface Sent {
  /** Milliseconds from the making of the script, in its time. */
  readonly atMs: number;
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  /** The whole body as text. */
  readonly body: string;
}

/**
 * Answers in place of servers, one step per send: the first that is for it; the last one that is repeats, unless the script is strict. While it is open it answers
 * all clients, those made before included (a client's option `transport` is for one alone), and whoever calls its `fetch`. Their policies decide as ever; budgets
 * are the script's own, and so is time: it leaps by the waits before retries and by what answers take, also for other adapters.
 *
 * Throws a TypeError for a step or an option that is none.
 */
export class Script implements VirtualTime {
  constructor(steps: readonly Step[], options?: ScriptOptions);
  readonly fetch: typeof globalThis.fetch;
  /** What servers would have seen so far, in order: not the attempts that fail before they are sent. */
  readonly sends: readonly Sent[];
  /** The waits before retries so far, in milliseconds: those of adapters, then those of clients. */
  readonly waits: readonly number[];
  /** How many steps nothing was answered with yet. */
  readonly remaining: number;
  /** The sends that no step was for, as 'GET http://service.test/'. */
  readonly missed: readonly string[];
  now(): number;
  advance(ms: number): void;
  /** It answers no longer, and time is the host's again. Throws if it is strict, and steps are left or sends had none. */
  close(): void;
}
