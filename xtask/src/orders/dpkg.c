/* dpkg's own comparison, from its static library: `dpkg --compare-versions` would be a process for every pair. */
#define LIBDPKG_VOLATILE_API
#include <stdio.h>
#include <string.h>
#include <dpkg/dpkg.h>
#include <dpkg/dpkg-db.h>
#include <dpkg/version.h>

static char answer(const char *a, const char *b)
{
	struct dpkg_version x, y;
	struct dpkg_error error = DPKG_ERROR_INIT;

	/* Positive: parsed, with a warning. `dpkg --compare-versions` goes on, and so does this. */
	if (parseversion(&x, a, &error) < 0 || parseversion(&y, b, &error) < 0)
		return '?';
	int order = dpkg_version_compare(&x, &y);
	return order < 0 ? '<' : order > 0 ? '>' : '=';
}

int main(void)
{
	static char line[1 << 16];

	while (fgets(line, sizeof line, stdin)) {
		char *b = strchr(line, '\t');
		if (!b)
			return 1;
		*b++ = '\0';
		b[strcspn(b, "\n")] = '\0';
		printf("%c\n", answer(line, b));
	}
	return 0;
}
