#include "master/token.h"

#include <getopt.h>
#include <stdio.h>

#include "auth/statictoken.h"
#include "lib/crypto.h"
#include "master/token_inspect.h"
#include "master/token_io.h"
#include "master/token_mint.h"

#define SECRET_LEN 32 /* random bytes of a generated token */

enum verb_bit { MINT = 1, HASH = 2, INSPECT = 4, ALL = 7 };

#define AT(member) offsetof(struct token_wish, member)

/* clang-format off */
static const struct flag {
	const char *name;
	const char *argument; /* NULL: takes none */
	size_t at;            /* in struct token_wish */
	unsigned verbs;
	const char *help;
} flags[] = {
	{ "key", "FILE", AT(key), MINT,
	  "sign with the private key in FILE (PEM)" },
	{ "new-key", "FILE", AT(new_key), MINT,
	  "make a private key, write it to FILE and its public\n"
	  "half to FILE.pub, and sign with it" },
	{ "alg", "NAME", AT(alg), MINT,
	  "RS256 (default for RSA), RS384, RS512, PS256, ES256,\n"
	  "ES384 or EdDSA" },
	{ "subject", "NAME", AT(subject), MINT,
	  "whose token it is (sub); default developer" },
	{ "client-id", "NAME", AT(client_id), MINT, "client_id" },
	{ "scope", "\"A B\"", AT(scope), MINT, "scopes, with spaces between" },
	{ "ttl", "SECONDS", AT(ttl), MINT, "how long it is good; default 3600" },
	{ "kid", "NAME", AT(kid), MINT, "key id in the header" },
	{ "key", "FILE", AT(key), INSPECT,
	  "verify with the public key or certificate in FILE (PEM)" },
	{ "issuer", "URL", AT(issuer), MINT | INSPECT, "iss" },
	{ "audience", "URL", AT(audience), MINT | INSPECT, "aud" },
	{ "generate", NULL, AT(generate), HASH,
	  "make a random token and print it with its hash" },
	{ "help", NULL, AT(help), ALL, "print this text and exit" },
};

/* clang-format on */

static int generate(void)
{
	uint8_t secret[SECRET_LEN];
	char token[CRYPTO_BASE64URL_LEN(SECRET_LEN)];
	char text[STATICTOKEN_TEXT_LEN];

	crypto_random(secret, sizeof(secret));
	crypto_base64url_encode(span_of(secret, sizeof(secret)), token);
	statictoken_text(span_of(token, sizeof(token)), text);
	printf("token: %.*s\nhash: %.*s\n", (int)sizeof(token), token,
	       (int)sizeof(text), text);
	crypto_wipe(secret, sizeof(secret));
	crypto_wipe(token, sizeof(token));
	return token_io_finish(TOKEN_DONE);
}

static int print_hash(struct span token)
{
	uint8_t ignored[CRYPTO_HASH_LEN];
	char text[STATICTOKEN_TEXT_LEN];

	if (token.len == 0)
		return token_io_complain(TOKEN_FAILED,
		                         "standard input holds no token");
	if (statictoken_is_hashed(token))
		return token_io_complain(TOKEN_FAILED,
		                         "this is a hash already; give the "
		                         "token itself");
	if (!statictoken_parse(token, ignored))
		return token_io_complain(
			TOKEN_FAILED,
			"not a token: letters, digits and -._~+/= "
			"are allowed, at most %d of them",
			STATICTOKEN_MAX);
	if (token.len < STATICTOKEN_MIN)
		token_io_complain(TOKEN_DONE,
		                  "warning: a token of less than %d characters "
		                  "can be guessed; see --generate",
		                  STATICTOKEN_MIN);
	statictoken_text(token, text);
	printf("%.*s\n", (int)sizeof(text), text);
	return token_io_finish(TOKEN_DONE);
}

static int hash(const struct token_wish *w)
{
	struct buf token = { .max = STATICTOKEN_MAX + 2 };

	if (w->generate)
		return generate();
	int status = token_io_ask(&token, "Token");
	if (status == TOKEN_DONE)
		status = print_hash(buf_span(&token));
	token_io_wipe(&token);
	return status;
}

/* clang-format off */
static const struct verb {
	const char *name;
	unsigned bit;
	int (*run)(const struct token_wish *w);
	const char *summary;
	const char *text;
} verbs[] = {
	{ "mint", MINT, token_mint, "make a signed JSON Web Token",
	  "Print a signed access token, and nothing else, on standard output.\n"
	  "One of --key and --new-key is needed. For development and tests: in\n"
	  "production an identity provider makes the tokens.\n" },
	{ "hash", HASH, hash, "make the hash of a static token",
	  "Read a token from standard input and print the line to write into\n"
	  "auth.static_tokens in its place. The configuration then does not\n"
	  "hold the token itself.\n" },
	{ "inspect", INSPECT, token_inspect, "look into a JSON Web Token",
	  "Read a token from standard input, print its header and claims, and\n"
	  "say whether it would be accepted. With --key the signature is\n"
	  "verified; --issuer and --audience are compared when given.\n" },
};
/* clang-format on */

static void print_help_text(const char *text)
{
	for (; *text; text++) {
		putchar(*text);
		if (*text == '\n')
			printf("%24s", "");
	}
	putchar('\n');
}

static int help_verb(const struct verb *v)
{
	printf("Usage: oci-mcp-gateway token %s [OPTION]...\n\n%s\n", v->name,
	       v->text);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		char head[40];

		if (!(flags[i].verbs & v->bit))
			continue;
		snprintf(head, sizeof(head), "--%s %s", flags[i].name,
		         flags[i].argument ? flags[i].argument : "");
		printf("  %-21s ", head);
		print_help_text(flags[i].help);
	}
	return token_io_finish(TOKEN_DONE);
}

static void print_usage(FILE *out)
{
	fputs("Usage: oci-mcp-gateway token COMMAND [OPTION]...\n\n", out);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		fprintf(out, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
	fputs("\noci-mcp-gateway token COMMAND --help says more.\n", out);
}

static void build_options(const struct verb *v,
                          struct option out[ARRAY_LEN(flags) + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		if (flags[i].verbs & v->bit)
			out[n++] = (struct option){
				.name = flags[i].name,
				.has_arg = flags[i].argument ? required_argument
				                             : no_argument,
				.val = (int)i,
			};
	out[n] = (struct option){ .name = NULL };
}

static void set(struct token_wish *w, const struct flag *f, const char *value)
{
	char *at = (char *)w + f->at;

	if (f->argument)
		memcpy(at, &value, sizeof(value));
	else
		*at = true;
}

/* argv[0] is the verb. TOKEN_DONE, or TOKEN_USAGE when it was complained. */
static int parse(const struct verb *v, int argc, char **argv,
                 struct token_wish *w)
{
	struct option options[ARRAY_LEN(flags) + 1];
	int c;

	build_options(v, options);
	optind = 0; /* start afresh: main has read options before */
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (c == ':')
			return token_io_complain(TOKEN_USAGE,
			                         "%s needs a value", word);
		if (c == '?')
			return token_io_complain(TOKEN_USAGE,
			                         "%s does not take %s", v->name,
			                         word);
		if (c == 'h')
			w->help = true;
		else
			set(w, &flags[c], optarg);
	}
	if (optind == argc)
		return TOKEN_DONE;
	if (v->bit == MINT)
		return token_io_complain(TOKEN_USAGE,
		                         "mint takes options only, not \"%s\"",
		                         argv[optind]);
	return token_io_complain(
		TOKEN_USAGE,
		"%s reads the token from standard input: an argument "
		"could be seen by every user of this machine",
		v->name);
}

static int run(const struct verb *v, int argc, char **argv)
{
	struct token_wish w = { 0 };

	int status = parse(v, argc, argv, &w);
	if (status != TOKEN_DONE) {
		fprintf(stderr, "See oci-mcp-gateway token %s --help.\n",
		        v->name);
		return status;
	}
	if (w.help)
		return help_verb(v);
	if (crypto_init() < 0)
		return token_io_complain(TOKEN_FAILED,
		                         "no source of random bytes");
	return v->run(&w);
}

int token_main(int argc, char **argv)
{
	struct span word = span_str(argc > 1 ? argv[1] : NULL);

	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (span_is(word, verbs[i].name))
			return run(&verbs[i], argc - 1, argv + 1);
	if (span_is(word, "--help") || span_is(word, "-h")) {
		print_usage(stdout);
		return token_io_finish(TOKEN_DONE);
	}
	print_usage(stderr);
	return TOKEN_USAGE;
}
