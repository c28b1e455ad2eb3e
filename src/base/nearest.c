#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

// Edit distance, a swap of neighbours counting once.
static unsigned distance_of(const char *a, const char *b)
{
    unsigned rows[3][OTO_NEAREST_MAX + 1];
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size > OTO_NEAREST_MAX || b_size > OTO_NEAREST_MAX)
        return OTO_NEAREST_MAX;
    for (unsigned j = 0; j <= b_size; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a_size; i++) {
        unsigned *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);
            best = last[j] + 1 < best ? last[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[a_size % 3][b_size];
}

void oto_nearest_init(struct oto_nearest *nearest, const char *wanted)
{
    size_t size = strlen(wanted);
    *nearest = (struct oto_nearest){.wanted = wanted, .distance = size < 5 ? 2 : size < 9 ? 3 : 4};
}

void oto_nearest_add(struct oto_nearest *nearest, const char *name)
{
    size_t size = strlen(nearest->wanted);
    unsigned distance = size >= 3 && strncmp(name, nearest->wanted, size) == 0
                            ? 1
                            : distance_of(nearest->wanted, name);
    if (distance >= nearest->distance)
        return;
    nearest->distance = distance;
    (void)snprintf(nearest->name, sizeof(nearest->name), "%s", name);
}
