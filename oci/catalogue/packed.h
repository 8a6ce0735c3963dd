/*
 * packed - what lies where in the packed catalogue, for the packer and for its
 * readers, oci/operation and oci/model.
 *
 * A head, then tables of records of one size each. Nothing in it is an address:
 * a text is the offset of its length (16 bits) and bytes in PACKED_TEXT, 0 for
 * the empty one; a record is its number. Numbers are as the machine has them,
 * which is the machine that the packer ran on.
 */
#ifndef OCI_CATALOGUE_PACKED_H
#define OCI_CATALOGUE_PACKED_H

#include <stdint.h>

#define PACKED_MAGIC          0x4f43494361743031 /* also tells the order of bytes */
#define PACKED_VERSION        1
#define PACKED_ALIGN          64    /* bytes: where tables begin */
#define PACKED_OPERATIONS_MAX 10240 /* a search has a counter for each */
#define PACKED_NONE           UINT32_MAX

enum packed_table {
	PACKED_TEXT,            /* bytes */
	PACKED_CLIENTS,         /* struct packed_client, by service, name */
	PACKED_REALMS,          /* struct packed_realm */
	PACKED_OPERATIONS,      /* struct operation, by id */
	PACKED_PARAMETERS,      /* struct packed_member */
	PACKED_PARAMETER_LISTS, /* uint16_t, numbers of parameters */
	PACKED_MODELS,          /* struct model, by service, name */
	PACKED_FIELDS,          /* struct packed_member */
	PACKED_FIELD_LISTS,     /* uint16_t, numbers of fields */
	PACKED_KINDS,           /* struct packed_kind */
	PACKED_CHOICES,         /* uint32_t: how many, then texts */
	PACKED_NAMES,  /* uint16_t, operations by packed_plain() name */
	PACKED_WORDS,  /* struct packed_word, by text */
	PACKED_PLACES, /* uint32_t: operation << 8 | place */
	PACKED_TABLES,
};

struct packed_head {
	uint64_t magic;
	uint32_t version;
	uint32_t bytes; /* of everything */
	struct {
		uint32_t at;    /* offset from the head */
		uint32_t count; /* records */
	} tables[PACKED_TABLES];
};

struct packed_client {
	uint32_t service, name, base, endpoint, endpoint_name, key; /* texts */
	uint32_t first, count; /* operations */
	uint32_t first_realm, realm_count;
	uint32_t needs_endpoint;
	uint32_t rank; /* of well-known services; else PACKED_NONE */
};

/* A realm in which a client has an endpoint of its own. */
struct packed_realm {
	uint32_t name, endpoint; /* texts */
};

enum packed_flag {
	PACKED_PAGED = 1 << 0,
	PACKED_LIMIT = 1 << 1,
	PACKED_UNSIGNED = 1 << 2,
	PACKED_RETRY_TOKEN = 1 << 3,
	PACKED_IF_MATCH = 1 << 4,
	PACKED_WORK_REQUEST = 1 << 5,
	PACKED_ETAG = 1 << 6,
	PACKED_RETRIED = 1 << 7,
	PACKED_BODY_REQUIRED = 1 << 8,
};

struct operation {
	uint32_t id, path, reference, body, response, items, accept; /* texts */
	uint32_t parameters; /* the first in PACKED_PARAMETER_LISTS */
	uint16_t client;
	uint16_t flags;  /* of enum packed_flag */
	uint16_t weight; /* of all words of the name */
	uint8_t parameter_count;
	uint8_t method;     /* enum operation_method */
	uint8_t shape;      /* enum operation_shape */
	uint8_t name_bytes; /* the end of the id */
	uint8_t unused[2];
};

enum packed_member_flag {
	PACKED_REQUIRED = 1 << 0,
	PACKED_LIST = 1 << 1,
	PACKED_JOINED = 1 << 2,
};

/* A parameter of an operation, a field of a model. */
struct packed_member {
	uint32_t name;
	uint32_t type;   /* a text; of a parameter enum operation_type */
	uint32_t choice; /* in PACKED_CHOICES, 0 for none */
	uint16_t flags;  /* of enum packed_member_flag */
	uint16_t place;  /* enum operation_place; 0 for fields */
};

struct model {
	uint32_t service, name, discriminator; /* texts */
	uint32_t base;                         /* a model or PACKED_NONE */
	uint32_t fields;                       /* first in PACKED_FIELD_LISTS */
	uint32_t field_count;
	uint32_t first_kind, kind_count;
};

struct packed_kind {
	uint32_t value; /* text */
	uint32_t model;
};

/* A word that operations are found by. */
struct packed_word {
	uint32_t text;
	uint32_t first, count; /* in PACKED_PLACES, by operation */
	uint32_t weight;       /* the more, the fewer operations have it */
};

/* Where an operation has a word: a place below PACKED_PLACE_JOINED is its
 * number in the name. */
enum packed_place {
	PACKED_PLACE_NAMES = 0x10,  /* words of a name that have a place */
	PACKED_PLACE_JOINED = 0x10, /* + number: joined with the next one */
	PACKED_PLACE_WHOLE = 0x40,  /* it is the name of the service */
	PACKED_PLACE_SERVICE,       /* in the name of the service */
	PACKED_PLACE_CLIENT,
	PACKED_PLACE_PATH,
};

#endif
