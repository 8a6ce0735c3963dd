// Preloaded (node --import) into servers that would listen on all interfaces:
// they listen on 127.0.0.1 instead and print "listening PORT".

import net from "node:net";

const { listen } = net.Server.prototype;

net.Server.prototype.listen = function (port, ...rest) {
	this.once("listening", () => console.log(`listening ${this.address().port}`));
	return listen.call(this, Number(port), "127.0.0.1", ...rest);
};
