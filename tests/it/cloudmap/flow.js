// What an application does with AWS's SDK for JavaScript. The endpoint and the credentials are in the environment.

const assert = require("node:assert");
const {
  CreateHttpNamespaceCommand,
  CreateServiceCommand,
  DiscoverInstancesCommand,
  GetOperationCommand,
  GetServiceCommand,
  RegisterInstanceCommand,
  ServiceDiscoveryClient,
} = require("@aws-sdk/client-servicediscovery");

const endpoint = process.env.AWS_ENDPOINT_URL_SERVICEDISCOVERY;
const client = new ServiceDiscoveryClient({ endpoint, disableHostPrefix: true });

async function main() {
  const made = await client.send(new CreateHttpNamespaceCommand({ Name: "plain" }));
  const { Operation } = await client.send(new GetOperationCommand({ OperationId: made.OperationId }));
  assert.strictEqual(Operation.Status, "SUCCESS");
  assert(Operation.CreateDate instanceof Date);
  const NamespaceId = Operation.Targets.NAMESPACE;
  const { Service } = await client.send(new CreateServiceCommand({ Name: "jobs", NamespaceId }));
  const Attributes = { url: "https://example.org" };
  await client.send(new RegisterInstanceCommand({ ServiceId: Service.Id, InstanceId: "one", Attributes }));
  const query = { NamespaceName: "plain", ServiceName: "jobs" };
  const { Instances } = await client.send(new DiscoverInstancesCommand(query));
  assert.deepStrictEqual(Instances[0].Attributes, Attributes);
  await assert.rejects(client.send(new GetServiceCommand({ Id: "srv-none" })), { name: "ServiceNotFound" });
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
