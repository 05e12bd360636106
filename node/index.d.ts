// The types of the package. What the core's tables name is in options.d.ts, which is generated.

import type { Duration, ErrorKind, Evidence, ClientSettings, PolicyDocument, PolicySettings, StopReason } from './options.js';
import type { Script } from './testing.js';

export type * from './options.js';

/**
 * A client with these options: a function like global `fetch`, with methods. It keeps connections, cookies and budgets; make one and keep it.
 *
 * @example
 * const client = createClient({ baseUrl: 'https://api.test/v1', timeout: 10_000, policy: { maxRetries: 3 } });
 * const orders = await client.get('orders', { searchParams: { page: 2 } }).json();
 */
export function createClient(options?: ClientOptions): Client;

/**
 * As a client's `fetch`, with default options, on connections that all such calls share.
 *
 * @example
 * const response = await fetch('https://api.test/orders', { timeout: 10_000 });
 * console.log(response.status, response.attempts.length, response.stopReason);
 */
export const fetch: Fetch;

/** As a client's `request`, with default options, on connections that all such calls share. */
export function request(input: string | URL | Request, init?: CallOptions): Promise<LeanResponse>;

/** The version of the package. */
export const version: string;

/**
 * What global `fetch` takes, and our options. Any status is a response. If there is none it rejects as fetch does, with a `TypeError` whose `cause` is a
 * `ReknockError`; it has all that one has, and `instanceof ReknockError` holds for it too.
 */
type OwnFetch = (input: string | URL | Request, init?: CallOptions) => ResponsePromise;
/** As `OwnFetch`; and can be passed on wherever a `fetch` is wanted. */
export type Fetch = OwnFetch & typeof globalThis.fetch;
type PlatformFetch = typeof globalThis.fetch;

/** A promise of a response whose body can be read in one await. */
export interface ResponsePromise extends Promise<RetryResponse> {
  json<T = unknown>(): Promise<T>;
  text(): Promise<string>;
  arrayBuffer(): Promise<ArrayBuffer>;
  bytes(): Promise<Uint8Array>;
  blob(): Promise<Blob>;
  formData(): Promise<FormData>;
}

/** Sends requests under a policy. Is itself a function: `client(input, init)` is `client.fetch(input, init)`. */
export interface Client extends PlatformFetch {
  /** As `fetch`. */
  (input: string | URL | Request, init?: CallOptions): ResponsePromise;
  /** The same, to be passed on as a function. */
  readonly fetch: Fetch;
  /**
   * The same for libraries that set init fields by habit: the one that would change what is sent (`dispatcher`) is passed over with one warning, where `fetch`
   * refuses it.
   */
  asFetch(): Fetch;
  /** The lean form: cheaper than a `Response`, and rejects with a `ReknockError`. Sends a body whatever the method. */
  readonly request: (input: string | URL | Request, init?: CallOptions) => Promise<LeanResponse>;

  /** As `fetch`, with this method; so are those below. */
  readonly get: (input: string | URL | Request, init?: VerbOptions) => ResponsePromise;
  readonly head: (input: string | URL | Request, init?: VerbOptions) => ResponsePromise;
  readonly post: (input: string | URL | Request, init?: VerbOptions) => ResponsePromise;
  readonly put: (input: string | URL | Request, init?: VerbOptions) => ResponsePromise;
  readonly patch: (input: string | URL | Request, init?: VerbOptions) => ResponsePromise;
  readonly delete: (input: string | URL | Request, init?: VerbOptions) => ResponsePromise;
  readonly options: (input: string | URL | Request, init?: VerbOptions) => ResponsePromise;

  /** A client with these options over this one's: headers, search parameters and hooks are joined, plain policies merged. Its connections and budgets are its own. */
  extend(options?: ClientOptions): Client;
  /** The policy of calls that bring none of their own; of a set, the one for requests that no rule is for. */
  readonly policy: Policy;
  /** The policies of the client. */
  readonly policies: PolicySet;
  /** Other policies for the calls that begin from now on; those in flight keep theirs, and budgets with the same parameters go on. A budget's name that has others now is a fresh purse, for all clients of the process. */
  setPolicy(policy: PolicyLike | PolicySet | PolicySetDocument): void;
  /** Why the last change of the file that the client follows was not taken; null if it was, and if it follows none. */
  readonly policyError: ReknockError | null;
  /** The client's jar of cookies; null unless the option `cookies` asked for one. */
  readonly cookies: Cookies | null;
  /** What the budget for an origin (`scheme://host`, with a port that is not the default) has; null if no call used it yet. */
  budget(origin: string | URL): BudgetReading | null;
  /** Ends the calls in flight, and those to come, with kind `closed`. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The cookies of a client: what servers have set, and what was set by hand. Values are secrets. */
export interface Cookies {
  /** The value of a cookie; if several domains or paths have it, that of the first. Undefined if there is none. */
  get(name: string): string | undefined;
  /** Sets a cookie without a domain: it goes along to whatever origin a call names, not to where redirects lead it. */
  set(name: string, value: string): void;
  /** Takes a `Set-Cookie` line as if `url` had answered with it; false if the rules refuse it, or it takes a cookie away. */
  store(url: string | URL, line: string): boolean;
  /** What a request to `url` carries: the value of its `cookie` header; null if there is nothing. */
  header(url: string | URL): string | null;
  /** All of them; the domain is null for one that was set without. */
  list(): { name: string; value: string; domain: string | null; path: string }[];
  /** Takes all cookies away. */
  clear(): void;
}

/** The options of a client. Durations are milliseconds, or text with a unit. */
export interface ClientOptions extends Omit<ClientSettings, 'baseUrl' | 'headers'>, Callbacks {
  /** What relative URLs are appended to. Default: none. */
  baseUrl?: string | URL | null;
  /** Header fields of all requests that do not bring them themselves. Default: none. */
  headers?: ClientSettings['headers'] | Headers;
  /** The policy of calls that bring none of their own, or a set, which chooses for each call by its first URL. Default: `REKNOCK_POLICY`, else that of `PolicySettings`' defaults. */
  policy?: PolicyLike | PolicySet | PolicySetDocument;
  /** Limit of a whole call, in milliseconds: attempts, waits, callbacks, reading the body. `null` is none. Default: 60000, or the policy's. */
  timeout?: number | Duration | null;
  /** Whether a status that is not 200-299 rejects, with `error.response`; or which of them. Default: no. */
  throwHttpErrors?: boolean | ((status: number) => boolean) | null;
  /** Search parameters of all requests that do not bring them themselves. Default: none. */
  searchParams?: SearchParams;
  /** Asked before each call of `fetch` and the verbs, in order. */
  beforeRequest?: BeforeRequest | readonly BeforeRequest[] | null;
  /** Shown the response of each call of `fetch` and the verbs, in order. */
  afterResponse?: AfterResponse | readonly AfterResponse[] | null;
  /** How responses come, where a call does not say. Default: `auto` for `fetch` and the verbs, `buffered` for `request`. */
  delivery?: Delivery | null;
  /** Short for `delivery`, as in a call. */
  stream?: boolean | null;
  /** Whether a call within an attempt of another one that retries makes one attempt (`stop`) or its own (`allow`). Default: stop. */
  nesting?: 'stop' | 'allow';
  /** Budgets to share with other clients and with `Retry`, in place of the client's own. */
  budgets?: Budgets;
  /** What answers in place of servers, whatever answers others: for tests. Default: a `Script` that is open, else servers. */
  transport?: Script;
}

/**
 * How a response comes: `buffered` when its body is there; `streamed` with its head; `auto` when its body is there, or without the rest after 1 MiB of it
 * or 20 ms after its head, and at once if it is an event stream or the like. What breaks before may be retried.
 */
export type Delivery = 'auto' | 'buffered' | 'streamed';
/** May edit the request; a `Response` is the answer, and nothing is sent. */
export type BeforeRequest = (request: RetryRequest) => Response | void | Promise<Response | void>;
/**
 * A `Response` takes the place of the one that came. `'retry'` makes the call once more, with the request as it is now (a token was renewed, say); a
 * second time, or where the body cannot be sent again, the response is the result.
 */
export type AfterResponse = (response: Response, request: RetryRequest) => Response | 'retry' | void | Promise<Response | 'retry' | void>;

/**
 * The options of a call: those of fetch that are honoured, and ours. What else would change what is sent is refused (`dispatcher`), what would not is
 * passed over, and so is what nobody knows.
 */
export interface CallOptions extends VerbOptions {
  /** Default: GET. */
  method?: string;
}

/** The options of a call whose method is known. */
export interface VerbOptions extends Callbacks {
  /** Header fields, in place of the client's of the same name. Undefined values are left out. */
  headers?: HeaderFields;
  /** The body. One that can be produced once is sent again only as far as `maxBodyBuffer` has it recorded; a function makes a new one for each attempt. */
  body?: Body | null;
  /** A JSON body. */
  json?: unknown;
  /** Appended to the URL's query. A list gives its name several times, undefined values are left out. */
  searchParams?: SearchParams;
  /** Ends the call at once, in any state; it rejects with `signal.reason`. */
  signal?: AbortSignal | null;
  /** `follow` as the client has it, `manual` for the redirect itself as the response, `error` to reject. */
  redirect?: 'follow' | 'manual' | 'error';
  /** Hashes, as in `sha256-...`: a body that has none of the strongest kind in it is an error. It comes whole. */
  integrity?: string;
  /** There is no cache; but for `default` and `force-cache` those on the way are told so by `cache-control` and `pragma`. */
  cache?: 'default' | 'no-store' | 'reload' | 'no-cache' | 'force-cache';
  /** Accepted for fetch's sake: streams are sent while the response may come already. */
  duplex?: 'half';
  /** A `Policy`, or the name of a preset, replaces the client's, a plain object is merged over it, false turns retries off. */
  policy?: PolicyLike;
  /** Limit of the whole call, in milliseconds: attempts, waits, callbacks, reading the body (of a streamed one: up to its head). */
  timeout?: number | Duration | null;
  /** How the response comes. */
  delivery?: Delivery | null;
  /** Short for `delivery`: true is `streamed`, false is `buffered`. */
  stream?: boolean | null;
  /** As the client's. */
  throwHttpErrors?: boolean | ((status: number) => boolean) | null;
  /** As the client's. */
  nesting?: 'stop' | 'allow';
  /** What the call is named in events, errors and telemetry: an operation or the template of a URL, such as 'orders.get'. Never sent. */
  name?: string | null;
}

/** A policy, the name of a preset such as 'llm', or what changes one. */
export type PolicyLike = Policy | PolicySettings | PolicyDocument | string | false;
/** Header fields. */
export type HeaderFields = Headers | Iterable<readonly [string, string]> | Readonly<Record<string, string | number | undefined | null>>;
type Primitive = string | number | bigint | boolean;
/** A query. */
export type SearchParams =
  | string
  | URLSearchParams
  | Iterable<readonly [string, Primitive]>
  | Readonly<Record<string, Primitive | readonly Primitive[] | undefined | null>>;

/** A piece of a body. */
export type Piece = string | ArrayBuffer | SharedArrayBuffer | ArrayBufferView;
/** What produces pieces, once. */
export type Pieces = ReadableStream | Iterable<Piece> | AsyncIterable<Piece>;
/** What a request's body can be. */
export type Body = Piece | URLSearchParams | FormData | Blob | Pieces | (() => Piece | Blob | Pieces | Promise<Piece | Blob | Pieces>);

/** What a client or a call may ask. They run where the call was made, in its AsyncLocalStorage context; what they throw, the call rejects with. */
export interface Callbacks {
  /**
   * Asked after every attempt while a retry is possible. It adds retries to the policy's: true retries, so does a wait in milliseconds; false,
   * null and undefined leave it to the policy; 'stop' stops. It costs a turn of the event loop for every attempt.
   */
  retryIf?: ((attempt: Attempt) => Opinion | Promise<Opinion>) | null;
  /** Asked for the wait before a retry, in milliseconds; undefined for the policy's. Server hints still apply. */
  delay?: ((attempt: Attempt) => number | undefined | null | Promise<number | undefined | null>) | null;
  /** Edits the request of the next attempt alone. */
  beforeRetry?: ((attempt: Attempt, request: RetryRequest) => void | Promise<void>) | null;
  /** Told of attempts, interim answers, retries, redirects, notices and the end; what it throws is an uncaught exception and fails no call. */
  onEvent?: ((event: Event) => void) | null;
  /** Lets `retryIf` and `delay` see the body, which is then read before they are asked. Default: false. */
  withBody?: boolean;
}

/** What `retryIf` thinks of an attempt. */
export type Opinion = boolean | number | 'stop' | undefined | null | void;

/** One attempt and how it ended, as callbacks see it. */
export interface Attempt {
  /** Whose call it is of. */
  readonly call: Identity;
  /** From 1. */
  readonly number: number;
  /** The one in question included. */
  readonly retriesLeft: number;
  /** What was sent. */
  readonly method: string;
  /** Where it was sent. */
  readonly url: string;
  /** The header fields that were sent. */
  readonly requestHeaders: Headers;
  /** Since the start of the call. */
  readonly elapsedMs: number;
  /** Null on failures before a response head. */
  readonly status: number | null;
  /** Empty on failures before a response head. */
  readonly headers: Headers;
  /** With `withBody`, in calls that are not streamed. */
  readonly body: Uint8Array | null;
  /** The kind of failure. */
  readonly error: ErrorKind | null;
  /** One line about the failure. */
  readonly message: string | null;
  /** What is known of whether a server worked on it. */
  readonly evidence: Evidence;
  /** The wait the server asks for. */
  readonly hintMs: number | null;
  /** Whether the policy would retry it. */
  readonly verdict: boolean;
  /** The wait the policy would take; null if the server asks for a longer one than allowed. */
  readonly plannedWaitMs: number | null;
}

/** The request of the next attempt. Edits concern that one alone. */
export interface RetryRequest {
  /** Stays as it is. */
  readonly method: string;
  /** Where it goes. */
  url: string | URL;
  /** The header fields, to be changed in place. */
  readonly headers: Headers;
  /** Text or bytes as the body. */
  setBody(body: Piece): void;
  /** A JSON body, with its `content-type`. */
  setJson(value: unknown): void;
}

/** Whose call something is about. */
export interface Identity {
  /** Unique in the process, from 1. */
  readonly callId: number;
  /** The method that the call was made with. */
  readonly method: string;
  /** The URL that the call was made to, without userinfo and the values of its query. Redirects do not change it. */
  readonly url: string;
  /** The scheme, host and port of that URL. */
  readonly origin: string;
  /** What the caller names the call. */
  readonly name: string | null;
}

interface EventOf<Kind extends string> {
  readonly kind: Kind;
  /** How much it matters, as loggers have it. */
  readonly level: 'debug' | 'info' | 'warning';
  /** One line for logs, without secrets. */
  readonly text: string;
  /** Whose call it is about; null for notices about none. */
  readonly call: Identity | null;
}

/** What an observer is told. */
export type Event =
  /** An attempt begins: each one, those of redirects' hops included. `target` is where it goes, without the values of its query. */
  | (EventOf<'attempt_start'> & { readonly attempt: AttemptRecord; readonly method: string; readonly target: string })
  /** An interim answer (1xx) came. Told once the attempt has ended, before its end. */
  | (EventOf<'interim'> & { readonly number: number; readonly status: number })
  /** An attempt ended, with the body of its response where that is read into memory. */
  | (EventOf<'attempt_end'> & { readonly attempt: AttemptRecord })
  /** The attempt that ended will be retried after its wait. `reason` is its status ('503') or its kind of failure ('connect'). */
  | (EventOf<'retry'> & { readonly attempt: AttemptRecord; readonly reason: string })
  /** A redirect is followed. */
  | (EventOf<'redirect'> & { readonly attempt: AttemptRecord; readonly target: string })
  /** What whoever runs the program should know: a budget that refuses a retry (at most once a second and origin), a field or a policy that is not taken. */
  | (EventOf<'notice'> & { readonly reason: 'budget_refused' | 'field_dropped' | 'policy_refused' | 'budget_unshared' })
  /** The call is over. `failed`: with an error, or with a response that would have been retried if it could have been. */
  | (EventOf<'end'> & {
      readonly attempts: readonly AttemptRecord[];
      readonly stopReason: StopReason;
      readonly elapsedMs: number;
      readonly failed: boolean;
    });

/** One send and how it ended. */
export interface AttemptRecord {
  /** From 1, over all redirect hops. */
  readonly number: number;
  /** Redirects followed before this attempt. */
  readonly hop: number;
  /** From the start of the call to the start of this attempt. */
  readonly startMs: number;
  /** From the start of this attempt to its outcome. */
  readonly durationMs: number;
  /** The response status, if a head arrived. */
  readonly status: number | null;
  /** The kind of failure, if it failed. */
  readonly error: ErrorKind | null;
  /** What is known of whether a server worked on it. */
  readonly evidence: Evidence;
  /** The wait that the server asked for. */
  readonly hintMs: number | null;
  /** The wait before the next attempt. */
  readonly waitMs: number | null;
  /** The class of the failure, where another client or function failed. */
  readonly errorClass: string | null;
  /** What telemetry calls the failure: its kind, else a status from 400 on as text, else the class; null where nothing failed. */
  readonly errorType: string | null;
  /** The number of the retry that a loop above this call says it is, as SDKs do in header fields of their own. */
  readonly outerRetry: number | null;
  /** From the start of this attempt to the first byte of its response, if one came. */
  readonly firstByteMs: number | null;
  /** How often it was sent again by itself, because a kept connection was found dead before a byte was taken; the server saw none of those. */
  readonly resends: number;
  /** Interim answers (1xx) that came before the head of its response. */
  readonly interim: number;
  /** Whether its connection was kept from an earlier exchange; null if there was none, or it is not known. */
  readonly reused: boolean | null;
  /** The other end, the server or its proxy, such as '192.0.2.1:443' or '[2001:db8::1]:443'; null if there was no connection, or it is a unix socket. */
  readonly peer: string | null;
  /** '1.0', '1.1' or '2', once it is known. */
  readonly httpVersion: string | null;
  /** What looking up the name took in this attempt, if it was looked up. */
  readonly resolveMs: number | null;
  /** What opening the connection took in this attempt, if one was opened: TCP, and what a proxy demands. */
  readonly connectMs: number | null;
  /** The TLS handshake in this attempt, if there was one. */
  readonly tlsMs: number | null;
  /**
   * What this attempt waited for a place: while as many connections were open as there may be, for one of the streams that a server of HTTP/2 takes, or
   * for a connection that another call was opening; null if it did not wait.
   */
  readonly waitedMs: number | null;
}

/** How a result came about. */
export interface Records {
  /** What was sent, in order. */
  readonly attempts: readonly AttemptRecord[];
  /** Why nothing further was sent. */
  readonly stopReason: StopReason;
  /** From the start of the call to the last byte of the body; of one that was handed out before that, until then. */
  readonly elapsedMs: number;
  /** '1.0', '1.1' or '2'. */
  readonly httpVersion: string;
  /** The attempts as a short timeline, with the advice that fits the stop reason. */
  explain(): string;
}

/** A global `Response`, and how it came about. */
export interface RetryResponse extends Response, Records {
  clone(): RetryResponse;
}

/** The response of `request()`. */
export interface LeanResponse extends Records {
  readonly statusCode: number;
  /** Names are in lower case; one that came several times has a list. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body: LeanBody;
  /** The URL of the last attempt, after redirects. */
  readonly url: string;
  readonly redirected: boolean;
}

/** A body that is there may be read as often as you like, its bytes are the same memory each time; a streamed one is read once. */
export interface LeanBody extends AsyncIterable<Uint8Array> {
  text(): Promise<string>;
  json(): Promise<unknown>;
  arrayBuffer(): Promise<ArrayBuffer>;
  bytes(): Promise<Uint8Array>;
  blob(): Promise<Blob>;
  /** Ends a streamed body unread. */
  dump(): Promise<void>;
  /** Its pieces. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array>;
}

/** What adapters and functions that are retried are told. */
export interface AdapterOptions {
  /** A `Policy`, settings over the default one, the name of a preset, false for no retries. */
  policy?: PolicyLike;
  /** Budgets to share with clients and other adapters. Default: its own. */
  budgets?: Budgets;
  /** As of a client; the attempt has what was sent, returned or thrown. */
  retryIf?: ((attempt: AdapterAttempt) => Opinion | Promise<Opinion>) | null;
  /** The wait before the next attempt in milliseconds; undefined or null for the policy's. */
  delay?: ((attempt: AdapterAttempt) => number | undefined | null | Promise<number | undefined | null>) | null;
  /** Told of retries and of the end. */
  onEvent?: ((event: Event) => void) | null;
  /** As of a client. */
  nesting?: 'stop' | 'allow';
  /** What events and telemetry name its calls: a text, or of a request a function of method and URL. */
  name?: string | ((method: string, url: string) => string | null | undefined);
}

/** One attempt of an adapter and how it ended, as callbacks see it. */
export interface AdapterAttempt extends Omit<Attempt, 'method' | 'url' | 'requestHeaders' | 'body'> {
  /** What is sent: a `Request`, what stands for one, or the function. */
  readonly request: unknown;
  /** What was thrown. */
  readonly exception: unknown;
  /** What was returned. */
  readonly result: unknown;
}

/**
 * A fetch that retries under a policy and sends by `fetch`, by default by the global one of the moment it is called in: mocks, caches and instrumentation stay.
 * All of an init goes along, but for `reknock`: options of this call. The last response or the original error is theirs, untouched; `attemptsOf` tells of it.
 */
export function retryFetch<F extends (input: any, init?: any) => Promise<any> = typeof globalThis.fetch>(fetch: F | null | undefined, options?: AdapterOptions): F & UnderReknock;
export function retryFetch(options?: AdapterOptions): typeof globalThis.fetch & UnderReknock;
/** Takes this call's options along with the init of the platform's fetch. */
type UnderReknock = (input: string | URL | Request, init?: RequestInit & { reknock?: AdapterOptions }) => Promise<Response>;

/**
 * The function with retries around it. Failures that are known to be of the network, and those that have a status, are retried as the policy says. What may have had
 * an effect is repeated only if it is `idempotent`, or the policy says `methods: any`. Its last value or its original error comes back.
 */
export function retrying<This, Args extends unknown[], Result>(
  fn: (this: This, ...args: Args) => Result | Promise<Result>,
  options?: FunctionOptions<Result>,
): (this: This, ...args: Args) => Promise<Result>;

/** What `retrying` is told. */
export interface FunctionOptions<Result = unknown> extends AdapterOptions {
  /** Where it goes, by which its budget is found: a URL, or any name. Default: the name of the function. */
  origin?: string;
  /** Whether it may be repeated when it may have had an effect. Default: no. */
  idempotent?: boolean;
  /** Other errors to retry: classes, or functions that say so. */
  on?: ErrorClass | ((error: any) => unknown) | readonly (ErrorClass | ((error: any) => unknown))[];
  /** Whether a value is none, and to be had again. */
  result?: (value: Awaited<Result>) => unknown;
  /** Ends all its calls, in any state. */
  signal?: AbortSignal;
}
type ErrorClass = abstract new (...args: any[]) => Error;

/** What was sent for a response or an error of an adapter, a function that is retried, or a client; undefined if none of them made it. */
export function attemptsOf(thing: unknown): SentRecords | undefined;

/** What was sent, and why nothing further was. */
export interface SentRecords {
  /** What was sent, in order. */
  readonly attempts: readonly AttemptRecord[];
  /** Why nothing further was sent. */
  readonly stopReason: StopReason;
  /** The attempts as a short timeline, with the advice that fits the stop reason. */
  explain(): string;
}

/** The attempt of an adapter or of a function that is retried, if one is under way where this is asked. */
export function currentAttempt(): CurrentAttempt | undefined;

/** The attempt that is under way. */
export interface CurrentAttempt {
  /** From 1. */
  readonly number: number;
  /** How many retries the policy leaves after this attempt. */
  readonly retriesLeft: number;
  /** Milliseconds left of the whole call; null if it has no limit. */
  readonly remainingMs: number | null;
  /** What the policy allows this attempt, none longer than what is left; null if the call is over. */
  readonly limits: Limits | null;
  /** Ends with the attempt's time or the call's. */
  readonly signal: AbortSignal | null;
}

/** What a budget has. */
export interface BudgetReading {
  /** Retries that would be granted now. */
  readonly balance: number;
  /** What all who share it did. */
  readonly deposits: number;
  /** Retries granted, without those given back. */
  readonly withdrawals: number;
  /** Retries refused. */
  readonly refusals: number;
  /** Who shares it: `process` also where the policy says `host` and it could not be had (`why`). */
  readonly share: 'process' | 'host';
  /** The file of the host's purse. */
  readonly path?: string;
  /** Why the budget of a policy that says `share: 'host'` is the process's alone. */
  readonly why?: string;
  /** What this process did of it. */
  readonly ownDeposits: number;
  /** Likewise. */
  readonly ownWithdrawals: number;
  /** Likewise. */
  readonly ownRefusals: number;
  /** How often a host's purse began anew because somebody had scribbled on its file. */
  readonly resets: number;
}

/** What a call, a policy or a client fails with. */
export class ReknockError extends Error {
  private constructor();
  /** What went wrong; `http_status` is of `throwHttpErrors`. */
  readonly kind: ErrorKind | 'http_status';
  /** The kind in capitals, after `REKNOCK_`: 'REKNOCK_CONNECT_TIMEOUT'. */
  readonly code: string;
  /** The status of the response that it is about, if there was one. */
  readonly status?: number;
  /** The method of the call that failed; of a failure before any call, there is none. */
  readonly method?: string;
  /** Its URL, without userinfo and the values of its query. */
  readonly url?: string;
  /** Its number, unique in the process. */
  readonly callId?: number;
  /** What the caller names it (`name` is the class's); null if it has no name. */
  readonly callName?: string | null;
  /** What was sent, in order; empty if nothing was tried. Printed as a line each. */
  readonly attempts: readonly AttemptRecord[];
  /** Why nothing further was sent; null if nothing was tried. */
  readonly stopReason: StopReason | null;
  /** With `throwHttpErrors`: the response. */
  readonly response?: RetryResponse;
  /** The attempts as a short timeline, with the advice that fits the stop reason. */
  explain(): string;
}

/** What a policy did in a scenario. */
export interface Report {
  /** Whether every rule of the scenario's `expect` holds. */
  readonly passed: boolean;
  /** Everything, by the names that the page Simulate of the documentation lists. */
  toObject(): Record<string, unknown>;
  /** The same as JSON: the same bytes for the same policy, scenario and seeds in every language. */
  toJson(): string;
}

/**
 * Runs a policy through a scenario, in virtual time: the name of a preset ('spike', 'brown-out', 'outage', 'flapping', 'rate-limit', 'slow-start',
 * 'batch'), or a plain object (the page Simulate of the documentation lists its keys). About two million attempts per second; nothing else runs meanwhile. Throws a `ReknockError`
 * of kind 'config' for a mistake.
 */
export function simulate(policy: PolicyLike, scenario: string | Record<string, unknown>): Report;

/** What each of several policies did in the same scenario. */
export interface Comparison {
  /** The reports by their policies' names. */
  readonly reports: Readonly<Record<string, Report>>;
  /** Whether every rule of the scenario's `expect` holds for every policy. */
  readonly passed: boolean;
  /** The reports by name as JSON: the same bytes for the same policies, scenario and seeds in every language. */
  toJson(): string;
  /** A page with a table and pictures: one HTML file, light and dark, no network, no script. */
  toHtml(): string;
}

/** Runs several policies, by name, through the same scenario, as `simulate` does. Throws a `ReknockError` of kind 'config' for a mistake. */
export function compare(policies: Readonly<Record<string, PolicyLike>>, scenario: string | Record<string, unknown>): Comparison;

/** Something that a rule has to say about a policy. */
export interface Finding {
  /** The name of the rule, which does not change. */
  readonly rule: string;
  /** How bad that is. */
  readonly severity: 'note' | 'warning' | 'error';
  /** The key that it is about, for example `retry_after.max`. */
  readonly path: string;
  /** What is the case, with the values. */
  readonly text: string;
  /** What would help. */
  readonly fix: string;
}

/** What is provably true of a policy. `toString()` has it for people. */
export interface Lint {
  /** Proven bounds by the names of documents; null is no bound, durations are text. */
  readonly bounds: Readonly<Record<string, string | number | null>>;
  /** What was found, the worst first. */
  readonly findings: readonly Finding[];
  /** The worst severity of all findings; null if there are none. */
  readonly worst: 'note' | 'warning' | 'error' | null;
  toString(): string;
}

/**
 * Looks at a policy: bounds that are proven, and settings that contradict each other or do harm. `processes` (1..=1000000, default 1) is how many
 * will send with it, `onePurse` (default false) whether they share one budget also without `share: host`, `capacity` the requests per second that the server can bear.
 */
export function lint(policy?: PolicyLike, surroundings?: { processes?: number; onePurse?: boolean; capacity?: number | null }): Lint;

/** What a call is allowed to do. Immutable. */
export class Policy {
  /** The default policy with these settings over it; false turns retries off. Durations are text with a unit. */
  constructor(settings?: PolicySettings | PolicyDocument | false);
  /** The policy of a text. */
  static fromYaml(text: string): Policy;
  static fromJson(text: string): Policy;
  static fromToml(text: string): Policy;
  /** The policy of a file: a document of ours, or of one of the systems that `Dialect` names. A missing one: `cause.code` is 'ENOENT'. */
  static load(file: string | URL): Policy;
  /** All policies of such a file, or those with a name, with notes on what differs from the original. */
  static loadAll(file: string | URL, dialect?: Dialect, name?: string): LoadedPolicy[];
  /** All policies of such a text, or those with a name. */
  static readAll(text: string, dialect?: Dialect, name?: string): LoadedPolicy[];
  /** No retries; the default timeouts. */
  static none(): Policy;
  /** The defaults of a system, or 'llm', for the APIs of large language models. */
  static preset(name: string): Policy;
  /** This policy with settings over it. */
  merge(settings: PolicySettings | PolicyDocument | false): Policy;
  /**
   * This policy as the `x-envoy-*` headers of a request change it: what the client option `envoyHeaders` does, for requests that are sent
   * by other means. Their sender removes `ENVOY_HEADERS` from them.
   */
  withEnvoyHeaders(headers: HeaderFields): Policy;
  /** The value of `x-envoy-expected-rq-timeout-ms` for an attempt that begins so long after its call; null without limits. */
  expectedRqTimeoutMs(elapsedMs?: number): number | null;
  equals(other: unknown): boolean;
  /** What differs from the original, if it was read in the words of another system. */
  readonly notes: readonly PolicyNote[];
  /** The policy in full, the range of each wait, the worst case, and the notes. */
  explain(): string;
  toYaml(): string;
  /** The whole document. */
  toJSON(): PolicyDocument;
  toString(): string;
}

/** The document of a policy set. A policy is a set of one. */
export interface PolicySetDocument {
  policies?: Record<string, PolicySettings | PolicyDocument | false>;
  /** The first one that matches a request says which policy it has. */
  rules?: { match?: RequestMatch; policy: string }[];
  /** The policy of requests that no rule is for. */
  default?: string;
}

/** Which requests a rule is for: what is not given is no matter. */
export interface RequestMatch {
  /** Exact, or with a `*` at its beginning or end; with a port if that matters. */
  host?: string | string[];
  /** Exact, a beginning if it ends in `*`, or a block with one test; `segment` ends at a `/`. */
  path?: string | { exact?: string; prefix?: string; segment?: string; regex?: string; ignore_case?: boolean };
  methods?: string | string[];
  headers?: (string | Record<string, string | boolean>)[];
  query?: (string | Record<string, string | boolean>)[];
}

/** Policies, and rules that say which of them a request has: the first that matches, else the default. Immutable. */
export class PolicySet {
  constructor(document?: PolicySetDocument | PolicySet | PolicyLike);
  /**
   * The set of a file: ours, a policy's, or another system's by its own matches. With `watch` a client that has it follows the file: its calls look
   * at it at most once a second, and go on with what they have until a change is read. What cannot be read changes nothing: see `policyError`.
   */
  static load(file: string | URL, dialect?: Dialect, options?: { watch?: boolean }): PolicySet;
  /** The set of such a text. */
  static read(text: string, dialect?: Dialect): PolicySet;
  /** The policies, with their names. */
  readonly policies: readonly LoadedPolicy[];
  /** The rules, in the order they are tried. */
  readonly rules: readonly { match: RequestMatch; policy: string }[];
  /** The name of the policy of requests that no rule is for; null: reknock's defaults, or the only policy. */
  readonly default: string | null;
  /** What is to be known about the set. */
  readonly notes: readonly PolicyNote[];
  /** Each policy with settings over it; another set, or a policy, as it is. */
  merge(settings: PolicySetDocument | PolicySet | PolicyLike): PolicySet;
  /** The policy of a request, `'GET http://shop.test/cart'`. */
  policyFor(request: string): Policy;
  /** The number from 1 of the rule that a request meets, the name of its policy, and the match; each null where there is none. */
  ruleFor(request: string): { rule: number | null; policy: string | null; match: RequestMatch | null };
  /** The set in words; or, for a request, which policy it has and why. */
  explain(request?: string): string;
  equals(other: unknown): boolean;
  toYaml(): string;
  /** The whole document. */
  toJSON(): PolicySetDocument | PolicyDocument;
  toString(): string;
}

/** The headers of a request that change its policy, or that Envoy keeps to itself: in lower case, to be removed before it is sent. */
export const ENVOY_HEADERS: readonly string[];

/** Whose document it is. */
export type Dialect = 'reknock' | 'envoy' | 'kgateway' | 'linkerd' | 'ballerina' | 'ktor' | 'istio' | 'envoy-gateway' | 'linkerd2';

/** What differs from the document of another system, and where. */
export interface PolicyNote {
  /** Where in the other system's document. */
  readonly path: string;
  /** What differs. */
  readonly text: string;
}

/** A policy of a file. */
export interface LoadedPolicy {
  /** What the document calls it. */
  readonly name: string | null;
  /** The system whose document it was. */
  readonly dialect: Dialect;
  /** What the document means here. */
  readonly policy: Policy;
  /** What differs from the original. */
  readonly notes: readonly PolicyNote[];
  /** As of a policy, with what the document was and what differs from it. */
  explain(): string;
}

/** Retry budgets that calls share: keep one beside each client of your own, or give the same to several. Those with names are shared with all of the process. */
export class Budgets {
  /** `budgetDir`, `shareRequired`: as of a Client. */
  constructor(options?: Pick<ClientOptions, 'budgetDir' | 'shareRequired'>);
  /** What the budget of a policy has for an origin; null if no call used it yet. `now`: as for `Retry`. */
  reading(policy: Policy, origin: string, now?: number): BudgetReading | null;
}

/** What is known of a call before it is sent. */
export interface RetryOptions {
  /** Default: GET. */
  method?: string;
  /**
   * Where it goes: a URL, by whose scheme, host and port the budget is found, or any name for what is no URL. Needed with `budgets`, unless
   * the policy's budget has another scope.
   */
  origin?: string;
  /** The request's header fields: an Idempotency-Key among them counts. */
  headers?: HeaderFields;
  /** Default: none is kept, whatever the policy says. */
  budgets?: Budgets;
  /** Whether the request carries an Idempotency-Key that is not among `headers`. */
  hasIdempotencyKey?: boolean;
  /** Whether somebody is asked about every outcome: hints are then read on every response. */
  asked?: boolean;
  /** Whether the call is made within an attempt of another one that retries: where it would be retried it ends with `nested`. */
  nested?: boolean;
  /** Not 0: random waits are drawn from it, the same ones each time, for simulations and tests. A whole number of 64 bits. */
  seed?: number | bigint;
  /** Milliseconds on a monotonic clock. Default: the host's, as clients count, here and below. */
  now?: number;
}

/** What is known of the request that a redirect leads to. */
export interface Hop {
  /** The method of the next attempt. */
  method: string;
  /** As in `RetryOptions`. */
  origin?: string;
  /** As in `RetryOptions`. */
  headers?: HeaderFields;
  /** Whether it carries an Idempotency-Key that is not among `headers`. */
  hasIdempotencyKey?: boolean;
}

/**
 * How an attempt ended: a response, a failure of a kind, a failure of no such kind by its class (which only an opinion has retried), or what
 * gave a value without a status. Header fields may be a function, which is called only if they are looked at. `local`: this machine alone is short of something (descriptors, ports, memory), so that a retry adds no load and
 * costs no budget.
 */
export type Outcome =
  | { status: number; headers?: HeaderFields | (() => HeaderFields) }
  | { error: ErrorKind; evidence?: Evidence; errorClass?: string; local?: boolean }
  | { errorClass: string; evidence?: Evidence }
  | { returned: true };

/** The limits of one attempt in milliseconds, none longer than what is left of the call. Null is none. */
export interface Limits {
  /** Of making a connection. */
  readonly connectTimeout: number | null;
  /** Of the attempt up to its response head. */
  readonly perTryTimeout: number | null;
  /** Of silence while a body is written or read. */
  readonly idleTimeout: number | null;
  /** What is left of the call. */
  readonly remaining: number | null;
}

/** What the policy thinks of an outcome. */
export interface Verdict {
  /** Whether it would be retried, if method, body, limits, deadline and budget agree. */
  readonly retry: boolean;
  /** What is known of whether a server worked on it. */
  readonly evidence: Evidence;
  /** The wait the server asks for. */
  readonly hintMs: number | null;
  /** The policy's own back-off before the next retry. */
  readonly backoffMs: number;
  /** The wait a retry would have by the policy alone; null if the server asks for too long a one. */
  readonly plannedWaitMs: number | null;
}

/** What callbacks of yours said. */
export interface Answer {
  /** What a `retryIf` returned, which means what it means to a client, in place of `retry` and `waitMs`. */
  opinion?: Opinion;
  /** Retry or stop, whatever the verdict. */
  retry?: boolean;
  /** Wait exactly this long. */
  waitMs?: number;
  /** In place of the policy's back-off; hints apply. */
  backoffMs?: number;
  /** Whether the request's body can be produced again. Default: yes. */
  replayable?: boolean;
}

/**
 * One call on its way, decided step by step, for those who keep an HTTP client of their own: it sends nothing and waits for nothing.
 * Per attempt: `attempt()`, your send, `classify(outcome)`, `decide()`, which says to wait and go on, or why not; at the end `finish()`.
 * The last outcome that is classified counts; after a stop another one may be, as of a body that breaks. A step before its turn throws
 * an `Error` with the code `ERR_INVALID_STATE`, which says what comes first, and changes nothing.
 */
export class Retry {
  constructor(policy?: Policy | PolicySettings | PolicyDocument | false, options?: RetryOptions);
  /**
   * A redirect is followed: the next attempt is of another method or origin, counts in the budget of that origin, and is no retry. The
   * policy, its deadline and the rest of what was said of the call stay.
   */
  redirect(hop: Hop, now?: number): void;
  /** The next attempt is about to be sent; its number, from 1. */
  attempt(now?: number): number;
  /** `wall`: milliseconds since 1970, for hints that are dates. Default: `Date.now()`. */
  classify(outcome: Outcome, wall?: number, now?: number): Verdict;
  /**
   * What was classified last came after redirects that the client followed by itself: what it proves says nothing of the requests that were
   * redirected, one of which may have been executed.
   */
  followed(): void;
  /** Whether a `retryIf` is to be asked about the outcome that was classified last: retries are left, the body can be produced again, there is time. */
  isWorthAsking(replayable?: boolean, now?: number): boolean;
  /** What happens after the outcome that was classified last: a wait and then the next attempt, or the reason why not. */
  decide(answer?: Answer, now?: number): { waitMs: number; stopReason: null } | { waitMs: null; stopReason: StopReason };
  /** The limits of an attempt that is made now. Null if the call is over. */
  limits(now?: number): Limits | null;
  /** Milliseconds left of the call; null if it has no limit or is over. */
  remaining(now?: number): number | null;
  /** The moment at which the call's time is over, as `now` counts; null if it has no limit or is over. */
  get deadline(): number | null;
  /** Retries that may still be made; 0 if the call is over. */
  get retriesLeft(): number;
  /** The largest one-shot body, in bytes, that is to be kept so that it can be sent again; 0 if the call is over. */
  get maxBodyBuffer(): number;
  /** The header fields that the policy puts on the attempt under way, in place of the request's own of the same name. */
  get headers(): Headers;
  /** What was sent, in order; when the call is over, too. */
  get attempts(): readonly AttemptRecord[];
  /** Why nothing further was sent; null before that is decided. */
  get stopReason(): StopReason | null;
  /** The attempts as a short timeline, with the advice that fits the stop reason. */
  explain(): string;
  /** The call is over and its outcome goes to whoever made it. */
  finish(now?: number): void;
  /** The call is given up: what it holds of its budget is given back. */
  abandon(): void;
}

/**
 * The message of the tracing channel `reknock:call` of `node:diagnostics_channel`: one per call of a client, an adapter or a function that is retried. `error` is
 * there once the call has failed, as `tracePromise` has it.
 */
export interface CallMessage {
  /** Whose call it is. */
  readonly call: Identity;
  /** Whether another client or a function makes the attempts: `retryFetch`, the interceptor, `retrying`. */
  readonly adapter: boolean;
  /** What was sent; null until the call is over, and if it was aborted. */
  readonly attempts: readonly AttemptRecord[] | null;
  /** Why nothing further was sent; null likewise. */
  readonly stopReason: StopReason | null;
  /** What the call failed with. */
  readonly error?: unknown;
}

/** The message of the tracing channel `reknock:attempt`: one per attempt, those of redirects' hops included. The message of its call has the same `call`. */
export interface AttemptMessage {
  /** Whose attempt it is: the same object as in the message of the call. */
  readonly call: Identity;
  /** As the call's. */
  readonly adapter: boolean;
  /** From 1. */
  readonly number: number;
  /** Redirects followed before it. */
  readonly hop: number;
  /** What this attempt sends; empty for functions. */
  readonly method: string;
  /** Where it goes, without userinfo and the values of its query; empty for functions. */
  readonly url: string;
  /** What subscribers of `start` put in here is sent with this attempt, in place of header fields of the same names; null where nothing can be added. */
  readonly headers: Record<string, string> | null;
  /** How it ended; null until it has, and if the call of an adapter was given up before. */
  readonly record: AttemptRecord | null;
  /** What the attempt failed with. */
  readonly error?: unknown;
}
