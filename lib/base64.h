/*
 * base64 - the standard alphabet with padding (RFC 4648, section 4), strictly:
 * one text for each value, no white space, no missing padding, no stray bits.
 */
#ifndef LIB_BASE64_H
#define LIB_BASE64_H

#include "lib/base.h"
#include "lib/span.h"

/* Characters that n bytes become, without a NUL. */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Bytes that n characters become, at most. */
#define BASE64_BYTES(n) ((n) / 4 * 3)

/* Write BASE64_LEN(in.len) characters, no NUL. Returns how many. */
size_t base64_encode(struct span in, char *out);

/*
 * Decode the whole of text to out, which has room for BASE64_BYTES(text.len)
 * and may be where text is. Returns true and the bytes in *len; false when
 * text is not the one encoding of any value. The empty text is 0 bytes.
 */
MUST_CHECK bool base64_decode(struct span text, void *out, size_t *len);

#endif
