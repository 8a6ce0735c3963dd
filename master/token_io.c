#include "master/token_io.h"

#include <stdarg.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/file.h"

int token_io_complain(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("token: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	return status;
}

/* Everything printed has arrived, or the caller must not believe it has. */
int token_io_finish(int status)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return token_io_complain(TOKEN_FAILED,
		                         "cannot write to standard output");
	return status;
}

void token_io_wipe(struct buf *b)
{
	if (b->bytes)
		crypto_wipe(b->bytes, b->cap);
	buf_free(b);
}

/* Standard input to its end or first line, without the newline at the end. */
static int read_input(struct buf *into, bool one_line)
{
	/* All the room at once: a secret that moves leaves copies behind. */
	char *at = buf_reserve(into, into->max);

	while (at && into->len < into->max) {
		ssize_t n = read(STDIN_FILENO, at + into->len,
		                 into->max - into->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return os_error();
		if (n == 0)
			break;
		buf_commit(into, (size_t)n);
		if (one_line && into->bytes[into->len - 1] == '\n')
			break;
	}
	if (!at)
		return buf_err(into);
	if (into->len == into->max)
		return -EFBIG;
	if (into->len && into->bytes[into->len - 1] == '\n')
		into->len--;
	if (into->len && into->bytes[into->len - 1] == '\r')
		into->len--;
	return 0;
}

/* At a terminal, ask, and do not show what is typed. */
int token_io_ask(struct buf *into, const char *what)
{
	struct termios shown, hidden;
	bool terminal = tcgetattr(STDIN_FILENO, &shown) == 0;

	if (terminal) {
		fprintf(stderr, "%s: ", what);
		hidden = shown;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	}
	int err = read_input(into, terminal);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
		fputc('\n', stderr);
	}
	if (err == -EFBIG)
		return token_io_complain(TOKEN_FAILED,
		                         "the input is too long for a token");
	if (err < 0)
		return token_io_complain(TOKEN_FAILED, "standard input: %s",
		                         strerror(-err));
	return TOKEN_DONE;
}

int token_io_key(const char *path, bool private, struct key **key)
{
	struct buf pem = { .max = KEY_PEM_MAX };
	const char *why = "";

	buf_reserve(&pem, pem.max); /* once: see read_input() */
	int err = file_read_secret(path, &pem);
	if (err < 0) {
		token_io_wipe(&pem);
		return token_io_complain(TOKEN_FAILED, "%s: %s", path,
		                         err == -EINVAL ? "not a regular file"
		                                        : strerror(-err));
	}
	if (err == FILE_EXPOSED && private)
		token_io_complain(TOKEN_DONE, "warning: every user may read %s",
		                  path);
	if (private)
		err = key_private_from_pem(buf_span(&pem), (struct span){ 0 },
		                           key, &why);
	else
		err = key_from_pem(buf_span(&pem), key, &why);
	token_io_wipe(&pem);
	return err < 0 ? token_io_complain(TOKEN_FAILED, "%s: %s", path, why)
	               : TOKEN_DONE;
}
