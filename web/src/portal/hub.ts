/** The calls of the hub that the portal makes, each in one place. */

import { call } from "../lib/api.ts";
import type { AuditEvent, CoordinationRequest, Listed, Person } from "./types.ts";

/** Where a person sets its password. */
const PASSWORD = "/api/auth/person/password";

export interface SessionAnswer {
  role: string;
  person?: Person;
  org_id?: string;
}

/** How this portal is set up. */
export interface PortalConfig {
  /** Nobody logs in: whoever reaches the hub answers under the name in the address. */
  open_portal?: boolean;
  /** Threads can be looked at under `/ui/`. */
  dashboard?: boolean;
}

export const findConfig = (): Promise<PortalConfig> => call("GET", "/portal/config.json");
export const findSession = (): Promise<SessionAnswer> => call("GET", "/api/auth/session");
export const logIn = (org: string, handle: string, password: string): Promise<unknown> =>
  call("POST", "/api/auth/login", { type: "person", org_id: org, handle, password });
export const logInByLink = (code: string): Promise<unknown> => call("POST", "/api/auth/login", { type: "person_link", code });
export const logOut = (): Promise<unknown> => call("POST", "/api/auth/logout", {});
export const setPassword = (password: string, current: string | null): Promise<unknown> =>
  call("POST", PASSWORD, current === null ? { password } : { password, current_password: current });

const path = (id: string, rest = ""): string => `/v1/requests/${encodeURIComponent(id)}${rest}`;

export const findRequest = (id: string): Promise<CoordinationRequest> => call("GET", path(id));
export const respond = (id: string, data: Record<string, unknown>, as: string | null): Promise<unknown> =>
  call("POST", path(id, "/respond"), as === null ? { response_data: data } : { response_data: data, responded_by: as });
export const cancel = (id: string): Promise<unknown> => call("DELETE", path(id));
export const reassign = (id: string, responder: string): Promise<unknown> => call("POST", path(id, "/reassign"), { responder_id: responder });
export const delegate = (id: string, responder: string, until: string): Promise<unknown> =>
  call("POST", path(id, "/delegate"), { responder_id: responder, until });

/** A page of requests, newest first. */
export function listRequests(filters: Readonly<Record<string, string>>, limit: number, cursor: string | null): Promise<Listed> {
  const query = new URLSearchParams({ ...filters, limit: String(limit) });
  if (cursor !== null) query.set("cursor", cursor);
  return call("GET", `/v1/requests?${query}`);
}

/** What happened to a request, oldest first. */
export async function listAudit(id: string): Promise<readonly AuditEvent[]> {
  const query = new URLSearchParams({ request_id: id, limit: "200" });
  return (await call<{ events: readonly AuditEvent[] }>("GET", `/v1/audit?${query}`)).events;
}
