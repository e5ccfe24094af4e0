import type { Agent } from "../../agents/agent.ts";
import type { AgentRegistry } from "../../agents/registry.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorMessage } from "../../lib/errors.ts";
import { LINK_PATH, type LinkSigner, linksOf } from "../approvals/link.ts";
import { viewInterrupt } from "../session/answer-schema.ts";
import type { InterruptRecord } from "../session/interrupts.ts";
import type { Notice, Notices } from "./notices.ts";
import { sendWebhook } from "./webhook.ts";

/**
 * Tells the webhooks of agents of questions that people have to answer, and reminds them. Each is told at least once over all
 * processes and crashes, and as a rule not more often.
 */
export interface Notifier extends AsyncDisposable {
  start(): void;
}

export interface NotifierOptions {
  readonly notices: Notices;
  readonly agents: AgentRegistry;
  readonly links: LinkSigner;
  /** Where people reach this server, without a slash at the end. */
  readonly publicUrl: string;
  /** Signs what is sent: "whsec_" and base64. */
  readonly secret: string;
  readonly clock: Clock;
  readonly report: (message: string) => void;
  /** How often it is looked for what is due. Milliseconds, default 1,000. */
  readonly sweepMs?: number;
}

/** Before the next try, by how many have failed: about a day in all, then it is given up. Milliseconds. */
const RETRY_MS = [
  5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 14_400_000, 28_800_000, 28_800_000,
] as const;
/** Longer than one try can take, so that nobody else sends the same meanwhile. */
const CLAIM_MS = 60_000;
const AT_ONCE = 20;
/** How long closing waits for answers to what is being sent. */
const CLOSE_MS = 2_000;

export function createNotifier(options: NotifierOptions): Notifier {
  const { notices, agents, clock, report, sweepMs = 1_000 } = options;
  const told = new Map(agents.list().flatMap((agent) => webhookOf(agent)));
  const closing = new AbortController();
  const cutOff = new AbortController();
  let sweeping = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  async function sweep(): Promise<void> {
    const query = { agents: [...told.keys()], limit: AT_ONCE, forMs: CLAIM_MS };
    for (let due = await notices.takeNotices(query); due.length > 0; ) {
      await Promise.all(due.map(deliver));
      if (closing.signal.aborted) return;
      due = await notices.takeNotices(query);
    }
  }

  async function deliver(notice: Notice): Promise<void> {
    const { interrupt, failures } = notice;
    const { agent, url } = told.get(interrupt.agent) ?? {};
    if (agent === undefined || url === undefined) return;
    const message = { id: `${interrupt.id}_${notice.number}`, url, body: bodyOf(notice, agent, options) };
    const { signal } = cutOff;
    const result = await sendWebhook(message, { secret: options.secret, now: clock.now(), signal });
    if (result.type === "delivered") return notices.settleNotice(notice);
    // What was cut off here may have arrived: whoever takes it next sends it again, under the same id.
    if (signal.aborted) return;
    const about = `the webhook of ${interrupt.agent} was not told of ${interrupt.id} (${result.why})`;
    const delayMs = result.type === "gone" ? undefined : RETRY_MS[failures];
    if (delayMs !== undefined) {
      await notices.putOffNotice(notice, delayMs);
      return report(`${about}; it is tried again in ${delayMs / 1_000} s`);
    }
    await notices.settleNotice(notice);
    report(`${about}; it is given up`);
  }

  function sweepAndSchedule(): void {
    sweeping = sweep()
      .catch((error: unknown) => report(`telling webhooks of questions failed: ${errorMessage(error)}`))
      .finally(() => {
        if (closing.signal.aborted) return;
        timer = setTimeout(sweepAndSchedule, sweepMs);
        timer.unref();
      });
  }

  return {
    start() {
      if (told.size > 0) sweepAndSchedule();
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      clearTimeout(timer);
      // Most of what is under way has arrived, and would be sent twice.
      const cut = setTimeout(() => cutOff.abort(), CLOSE_MS);
      await sweeping;
      clearTimeout(cut);
    },
  };
}

function webhookOf(
  agent: Agent,
): readonly (readonly [string, { readonly agent: Agent; readonly url: string }])[] {
  const { webhook: url } = agent.approvals;
  return url === null ? [] : [[agent.name, { agent, url }]];
}

/** What receivers usually take. Characters. */
const MAX_BODY = 200_000;

/** The same bytes for each try, as far as the question is the same. */
function bodyOf(notice: Notice, agent: Agent, options: Pick<NotifierOptions, "links" | "publicUrl">): string {
  const body = JSON.stringify(messageOf(notice, agent, options));
  if (body.length <= MAX_BODY) return body;
  const interrupt = withoutContent(notice.interrupt);
  return JSON.stringify(messageOf({ ...notice, interrupt }, agent, options));
}

/** What a call would do can be large, and is in the log and on the page of the link. */
function withoutContent(record: InterruptRecord): InterruptRecord {
  const { request } = record;
  if (request.kind === "budget") return record;
  const call = { ...request.call, input: null };
  if (!("preview" in request)) return { ...record, request: { ...request, call } };
  const { preview: _, ...rest } = request;
  return { ...record, request: { ...rest, call } };
}

function messageOf(
  { interrupt, number }: Notice,
  agent: Agent,
  { links, publicUrl }: Pick<NotifierOptions, "links" | "publicUrl">,
): object {
  const { remindAt = [] } = interrupt.request;
  const at = number === 0 ? interrupt.at : (remindAt[number - 1] ?? interrupt.at);
  return {
    type: number === 0 ? "interrupt.opened" : "interrupt.reminder",
    timestamp: new Date(at).toISOString(),
    data: {
      interrupt: viewInterrupt(interrupt, agent),
      links: linksOf(interrupt).map((link) => ({
        actor: link.actor,
        url: `${publicUrl}${LINK_PATH}${links.sign(link)}`,
        expiresAt: link.expiresAt,
      })),
    },
  };
}
