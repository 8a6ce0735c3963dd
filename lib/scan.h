/*
 * scan - JSON text (RFC 8259), checked completely in one pass.
 *
 * One engine reads bytes, in pieces of any size, and has two faces. With
 * scan_document() a whole text in memory is checked and the values of some
 * members are located. With scan_stream_next() a text too large to hold is
 * checked while it passes through, and the bytes of some members of its root
 * object are handed out as they come.
 *
 * Nothing is allocated, nothing recurses, no byte is read twice and none past
 * the end. What is located points into the caller's bytes and is only read,
 * never copied, so whatever is passed on is exactly what was checked.
 *
 * Checked is, everywhere in the text: the grammar; UTF-8 in shortest form,
 * without surrogates (RFC 3629) and without a byte order mark; \u escapes that
 * form characters, so no lone surrogate; numbers by the letter of section 6;
 * at most SCAN_DEPTH_MAX arrays and objects inside each other; nothing but
 * white space around the one value.
 *
 * Checked as well, in the root object and in every object that is the parent
 * of a wanted member (together: the routed levels), is that no other JSON
 * parser can read another member than we did. RFC 8259 section 4 leaves it open
 * what a repeated name means, and there are parsers that ignore the case of
 * names. So these are refused there:
 *
 *	- a wanted name for the second time;
 *	- a name that becomes a wanted one when case is ignored, the way Unicode
 *	  folds ASCII: A-Z, U+017F (long s) and U+212A (Kelvin sign) included;
 *	- a wanted name that is written with an escape, or that has \u0000 after
 *	  it, where a parser that uses C strings stops reading.
 *
 * Names that are not wanted may repeat, and so may any name further inside.
 */
#ifndef LIB_SCAN_H
#define LIB_SCAN_H

#include "lib/base.h"
#include "lib/span.h"

#define SCAN_DEPTH_MAX 128 /* arrays and objects inside each other */
#define SCAN_WANT_MAX  32  /* rows of a table of wanted members */
#define SCAN_KEY_MAX   64  /* bytes of a wanted name */
#define SCAN_KEEP_MAX  512 /* bytes a stream keeps of all values together */

/* The verdict on a text. */
enum scan_result {
	SCAN_OK,
	SCAN_SYNTAX,        /* not the grammar of RFC 8259 */
	SCAN_TRUNCATED,     /* good so far, but it ends too early */
	SCAN_DEPTH,         /* more than SCAN_DEPTH_MAX levels */
	SCAN_UTF8,          /* bytes in a string that are not UTF-8 */
	SCAN_SURROGATE,     /* half of a surrogate pair in \u escapes */
	SCAN_DUPLICATE_KEY, /* a wanted name stands twice in its object */
	SCAN_FOLDED_KEY,    /* a wanted name but for the case of letters */
	SCAN_ESCAPED_KEY,   /* a wanted name written with an escape */
};

/* Where a text is wrong, and why. Not touched when the result is SCAN_OK. */
struct scan_error {
	size_t offset;    /* byte the text goes wrong at; of a refused name,
	                     its opening quote */
	const char *text; /* a sentence for people, static */
};

/*
 * One wanted member: its name and the row of the object that it is in. A table
 * of these is a tree; a parent stands before its children:
 *
 *	static const struct scan_want want[] = {
 *		[METHOD] = SCAN_WANT("method", SCAN_ROOT),
 *		[PARAMS] = SCAN_WANT("params", SCAN_ROOT),
 *		[NAME]   = SCAN_WANT("name", PARAMS),
 *	};
 *
 * A name is 1 to SCAN_KEY_MAX bytes of UTF-8 that stand for themselves in JSON
 * (no quote, no backslash, no control character); no object wants one twice.
 */
struct scan_want {
	struct span key;
	int parent; /* row of the table, or SCAN_ROOT */
};

#define SCAN_ROOT (-1)

/* One row of a constant table. */
#define SCAN_WANT(literal, parent)                          \
	{                                                   \
		{ "" literal, sizeof(literal) - 1 }, parent \
	}

/*
 * Check a whole text and locate the wanted members of its root object.
 *
 * found[i] becomes the raw value of want[i]: from its first to its last byte,
 * a string with its quotes, a part of text. It is empty with at NULL when the
 * member is absent, when its parent is absent or no object, and, for all rows,
 * when the result is not SCAN_OK. n_want is at most SCAN_WANT_MAX and may be 0;
 * want and found are then not read. Any value is good as root, and
 * value_type(text) tells which it was.
 *
 * Returns SCAN_OK, or what is wrong first, with *why filled in.
 */
MUST_CHECK enum scan_result scan_document(struct span text,
                                          const struct scan_want *want,
                                          size_t n_want, struct span found[],
                                          struct scan_error *why);

/*
 * The state of the engine between two bytes. Only scan.c looks inside; it is
 * here so that a stream needs no memory but its owner's.
 */
struct scan_engine {
	/* token and stop are asked together right after one was set. They do
	   not share a word, which the compiler would then read as one before
	   the byte in it has arrived. */
	unsigned token;      /* what was cut by the end of the piece, if any */
	const char *literal; /* rest of true, false, null to come */
	unsigned stop;       /* why the engine gave control back */
	unsigned expect;     /* what must come next */
	unsigned depth;      /* containers open */
	unsigned watch;      /* of these, the outermost that are routed */
	unsigned row;        /* of the value in hand; 0 is the root */
	unsigned refused;    /* reason of the verdict, 0 while all is well */
	bool odd;   /* the name in hand has an escape or is not ASCII */
	bool empty; /* the object just closed has no members */

	bool paired;       /* the \u escape is the second of a pair */
	uint8_t digits;    /* of a \u escape still to come */
	uint16_t unit;     /* value of the \u escape so far */
	uint8_t bytes;     /* of a UTF-8 character still to come */
	uint8_t low, high; /* range of the next of those */

	const struct scan_want *want;
	struct span *found; /* of a document; NULL in a stream */
	uint32_t seen;      /* rows whose name has come by */
	uint32_t streamed;  /* rows whose bytes are handed out */
	uint32_t children[SCAN_WANT_MAX + 1]; /* rows under row - 1 */

	const char *piece;  /* the bytes in hand ... */
	size_t base;        /* ... and their offset in the text */
	const char *name;   /* part of the name in hand in this piece */
	size_t name_offset; /* of its opening quote */
	struct scan_error why;

	uint8_t row_at[SCAN_WANT_MAX + 2];  /* routed level to row */
	bool is_object[SCAN_DEPTH_MAX + 1]; /* level to kind */

	/* What the pieces before had of the name. The longest that can mean
	   a wanted one writes each byte \u00xx; more need not be kept. */
	uint16_t carried;
	char carry[6 * SCAN_KEY_MAX + 12];
};

/*
 * A text that passes through in pieces. The table is that of scan_document();
 * the bytes of its rows under SCAN_ROOT are handed out, rows further inside are
 * only noticed: scan_stream_seen().
 */
struct scan_stream {
	int member; /* row in hand, from SCAN_BEGIN to SCAN_END; read only */
	bool empty; /* at SCAN_CLOSE: the object has no member; read only */

	/* private */
	bool inside;  /* between SCAN_BEGIN and SCAN_END */
	bool lost;    /* the value in hand is too long to keep */
	uint8_t next; /* event to give before reading on, or 0 */
	uint32_t keep;
	struct {
		uint16_t at, len;
		bool whole;
	} kept[SCAN_WANT_MAX];
	uint16_t n_store;
	char store[SCAN_KEEP_MAX];
	struct scan_engine engine;
};

enum scan_event {
	SCAN_MORE = 1, /* the piece is used up; give the next */
	SCAN_BEGIN,    /* the value of s->member begins here */
	SCAN_VALUE,    /* bytes is the next run of that value, never empty */
	SCAN_CLOSE,    /* bytes is the closing brace of that value */
	SCAN_END,      /* the value of s->member is complete */
	SCAN_DONE, /* piece used up, text complete; white space may follow */
	SCAN_BAD,  /* not acceptable, for good: scan_stream_end() says why */
};

/*
 * Begin a text. want must outlive the stream. keep has bit i set when the value
 * of want[i], a row under SCAN_ROOT, is to be kept for scan_stream_kept(); it
 * is handed out all the same.
 */
void scan_stream_init(struct scan_stream *s, const struct scan_want *want,
                      size_t n_want, uint32_t keep);

/*
 * Read on from the front of *in, and move *in past what was used. Call it until
 * it says SCAN_MORE or SCAN_DONE, then set *in to the next piece; cut the text
 * anywhere. bytes is set for SCAN_VALUE and SCAN_CLOSE, else empty, and is
 * valid as long as the piece.
 *
 * The value of a wanted root member gives SCAN_BEGIN, SCAN_VALUE any number of
 * times, SCAN_END. When it is an object its last brace comes alone, as
 * SCAN_CLOSE right before SCAN_END, so that a member can be put in before it:
 * with a comma unless s->empty. The first byte of the first SCAN_VALUE tells
 * the type. For { "id": 7, "result": {"a":[]} } and both wanted:
 *
 *	BEGIN  VALUE 7  END  BEGIN  VALUE {"a":[]  CLOSE }  END  DONE
 *
 * Bytes are handed out before the text behind them is known: after SCAN_BAD,
 * what was forwarded must not be completed.
 */
enum scan_event scan_stream_next(struct scan_stream *s, struct span *in,
                                 struct span *bytes);

/*
 * The verdict when no more pieces come: SCAN_OK when the text is complete,
 * SCAN_TRUNCATED when it is not, else why it was refused. *why is filled in
 * unless the result is SCAN_OK. Before that it is the verdict so far.
 */
enum scan_result scan_stream_end(const struct scan_stream *s,
                                 struct scan_error *why);

/* Has the name of want[row] come by in its object (its value may not)? */
bool scan_stream_seen(const struct scan_stream *s, size_t row);

/*
 * The raw value of a row to keep; false while it is not complete, and when all
 * kept values together pass SCAN_KEEP_MAX bytes. Valid as long as the stream.
 */
bool scan_stream_kept(const struct scan_stream *s, size_t row,
                      struct span *raw);

#endif
