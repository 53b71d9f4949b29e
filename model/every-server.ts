/** What a plan consists of, however deep it stands in included runbooks. */

/** Any PlanOrder is one, and what stands for one in thought. */
export interface TreeOfServers<Server> {
  readonly servers: readonly Server[];
  readonly parts: readonly { readonly order: TreeOfServers<Server> }[];
}

/** Servers of the plan and of all that it includes, its own first. */
export const everyServerOf = <Server>({ servers, parts }: TreeOfServers<Server>): Server[] => [
  ...servers,
  ...parts.flatMap(({ order }) => everyServerOf(order)),
];
