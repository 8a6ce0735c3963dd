// Oracle's SDK for Node.js against the simulated tenancy: argument, the file
// with the line that the simulator printed.

import assert from "node:assert/strict";
import fs from "node:fs";
import common from "oci-common";
import core from "oci-core";
import identity from "oci-identity";
import objectstorage from "oci-objectstorage";

const sim = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const compartmentId = sim.compartments.prod;

function provider(profile = "DEFAULT") {
	return new common.ConfigFileAuthenticationDetailsProvider(
		sim.config_file, profile);
}

function client(Kind, authenticationDetailsProvider = provider()) {
	const made = new Kind({ authenticationDetailsProvider });
	made.endpoint = sim.url;
	return made;
}

async function text(stream) {
	return Buffer.from(await new Response(stream).arrayBuffer());
}

const checks = {
	async listInstances() {
		const { items } = await client(core.ComputeClient).listInstances(
			{ compartmentId, limit: 100 });
		assert.equal(items.length, 20);
		assert.equal(items[0].displayName, "web-1");
	},

	async pages() {
		const compute = client(core.ComputeClient);
		const names = new Set();
		let page;
		let count = 0;
		do {
			const answer = await compute.listInstances(
				{ compartmentId, limit: 6, page });
			for (const one of answer.items)
				names.add(one.displayName);
			page = answer.opcNextPage;
			count++;
		} while (page);
		assert.deepEqual([names.size, count], [20, 4]);
	},

	async pagesByIterator() {
		const names = [];
		for await (const one of client(core.ComputeClient)
			.listAllInstances({ compartmentId, limit: 3 }))
			names.push(one.displayName);
		assert.equal(names.length, 20);
	},

	async objects() {
		const storage = client(objectstorage.ObjectStorageClient);
		const namespaceName = (await storage.getNamespace({})).value;
		const data = Buffer.from(Array.from({ length: 5000 },
			(_, i) => i & 255));
		const where = { namespaceName, bucketName: "dev-scratch",
			objectName: "node/a b (1).bin" };
		await storage.putObject({ ...where, putObjectBody: data,
			contentLength: data.length });
		const got = await storage.getObject(where);
		assert.ok(data.equals(await text(got.value)));
		const listed = await storage.listObjects({ ...where,
			prefix: "node/" });
		assert.equal(listed.listObjects.objects.length, 1);
		await storage.deleteObject(where);
	},

	async error() {
		await assert.rejects(
			client(core.ComputeClient).getInstance(
				{ instanceId: "ocid1.instance.oc1.iad.none" }),
			(e) => e.statusCode === 404 &&
				e.serviceCode === "NotAuthorizedOrNotFound" &&
				Boolean(e.opcRequestId));
	},

	async launch() {
		const compute = client(core.ComputeClient);
		const network = client(core.VirtualNetworkClient);
		const domains = await client(identity.IdentityClient)
			.listAvailabilityDomains({ compartmentId });
		const subnets = await network.listSubnets({ compartmentId });
		const images = await compute.listImages({ compartmentId });
		const { instance } = await compute.launchInstance({
			launchInstanceDetails: {
				availabilityDomain: domains.items[0].name,
				compartmentId, displayName: "by-node",
				shape: "VM.Standard.E4.Flex",
				shapeConfig: { ocpus: 1, memoryInGBs: 8 },
				createVnicDetails: {
					subnetId: subnets.items[0].id },
				sourceDetails: { sourceType: "image",
					imageId: images.items[0].id },
			},
		});
		assert.equal(instance.lifecycleState, "PROVISIONING");
		await compute.terminateInstance({ instanceId: instance.id });
	},

	async sessionToken() {
		const session = new common.SessionAuthDetailProvider(
			sim.config_file, "SESSION");
		const { items } = await client(identity.IdentityClient, session)
			.listRegions({});
		assert.ok(items.length > 0);
	},

	async instancePrincipal() {
		const builder = new common
			.InstancePrincipalsAuthenticationDetailsProviderBuilder();
		builder.metadataBaseUrl = `${sim.url}/opc/v2`;
		builder.federationEndpoint = sim.url;
		const { items } = await client(core.ComputeClient,
			await builder.build()).listInstances({ compartmentId, limit: 4 });
		assert.equal(items.length, 4);
	},

	async workloadIdentity() {
		Object.assign(process.env,
			sim.environments.oke_workload_identity);
		const made = common.OkeWorkloadIdentityAuthenticationDetailsProvider
			.builder(sim.ca_file, sim.service_account_token);
		const { items } = await client(core.ComputeClient, await made)
			.listInstances({ compartmentId, limit: 4 });
		assert.equal(items.length, 4);
	},

	async resourcePrincipal() {
		Object.assign(process.env, sim.environments.resource_principal);
		const { items } = await client(core.ComputeClient, common
			.ResourcePrincipalAuthenticationDetailsProvider.builder())
			.listInstances({ compartmentId, limit: 4 });
		assert.equal(items.length, 4);
	},
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
	try {
		await check();
		console.log(`ok   node sdk: ${name}`);
	} catch (problem) {
		failed++;
		console.log(`FAIL node sdk: ${name}`);
		console.log(problem);
	}
}
process.exit(failed ? 1 : 0);
