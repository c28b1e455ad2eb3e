// Which of several names a misspelt one most likely means: "did you mean …?". No allocation.
#ifndef OTO_BASE_NEAREST_H
#define OTO_BASE_NEAREST_H

#define OTO_NEAREST_MAX 64 // bytes of a name; longer ones are near to none

struct oto_nearest {
    const char *wanted;
    unsigned distance;
    char name[OTO_NEAREST_MAX]; // "": none is near
};

// Begins the search for wanted. Ownership: borrows wanted until the last name was added.
void oto_nearest_init(struct oto_nearest *nearest, const char *wanted);
// Looks at one more name; of equally near ones the first stays.
void oto_nearest_add(struct oto_nearest *nearest, const char *name);

#endif
