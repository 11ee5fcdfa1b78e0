/* The small model's loop in C, for comparison with flowsim's kernel: it reads the same integer tables from a file, moves
 * the same people by the same rules (docs/engine-rules.md, as far as this model needs them) and writes the same stamps.
 *
 * loop TABLES STAMPS REPEATS: prints the CPU seconds of each repeat, of the loop alone.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct { int32_t service, units, duration, next; } Row;
typedef struct { int32_t joined, accepted, started, ready, left, freed; } Stamps;
typedef struct { int32_t row, target, next_event, before, behind; } Person; /* rows, and neighbours in lists; -1: none */
typedef struct { int32_t capacity, in_use, head, tail; } Service;

static int32_t horizon, n_people, n_rows, n_services;
static const int32_t *capacity, *arrival, *first_row;
static const Row *rows;
static Stamps *stamps;
static Person *people;
static Service *services;
static int32_t *due; /* the first of each minute's list of people */

static void schedule(int32_t n, int32_t t)
{
    if (t < horizon) {
        people[n].next_event = due[t];
        due[t] = n;
    }
}

/* Join the queue of the target: by minute of joining, then by person; those of earlier minutes stand there already. */
static void join(int32_t n, int32_t t)
{
    Service *s = &services[rows[people[n].target].service];
    int32_t before = s->tail, behind = -1;
    stamps[people[n].target].joined = t;
    while (before >= 0 && before > n && stamps[people[before].target].joined == t) {
        behind = before;
        before = people[before].before;
    }
    people[n].before = before;
    people[n].behind = behind;
    if (before >= 0) people[before].behind = n; else s->head = n;
    if (behind >= 0) people[behind].before = n; else s->tail = n;
}

static void leave(int32_t i, int32_t t)
{
    stamps[i].left = stamps[i].freed = t;
    services[rows[i].service].in_use -= rows[i].units;
}

static void happen(int32_t n, int32_t t)
{
    int32_t i = people[n].row;
    if (i < 0) {
        join(n, t);
        return;
    }
    stamps[i].ready = t;
    people[n].target = rows[i].next;
    if (rows[i].next < 0) leave(i, t); else join(n, t);
}

static void accept(int32_t n, int32_t t)
{
    int32_t i = people[n].row, j = people[n].target;
    Service *s = &services[rows[j].service];
    s->head = people[n].behind;
    if (s->head >= 0) people[s->head].before = -1; else s->tail = -1;
    s->in_use += rows[j].units;
    stamps[j].accepted = stamps[j].started = t;
    if (i >= 0) leave(i, t);
    people[n].row = j;
    schedule(n, t + rows[j].duration);
}

/* Services in order, each accepting all it can, until a round accepts nobody. */
static void decide(int32_t t)
{
    int accepted = 1;
    while (accepted) {
        accepted = 0;
        for (int32_t k = 0; k < n_services; k++) {
            Service *s = &services[k];
            while (s->head >= 0 && s->in_use + rows[people[s->head].target].units <= s->capacity) {
                accept(s->head, t);
                accepted = 1;
            }
        }
    }
}

static void begin(void)
{
    memset(stamps, 0xff, (size_t)n_rows * sizeof(Stamps));
    memset(due, 0xff, (size_t)horizon * sizeof(int32_t));
    for (int32_t k = 0; k < n_services; k++) services[k] = (Service){capacity[k], 0, -1, -1};
    for (int32_t n = 0; n < n_people; n++) {
        people[n] = (Person){-1, first_row[n], -1, -1, -1};
        schedule(n, arrival[n]);
    }
}

static void run(void)
{
    for (int32_t t = 0; t < horizon; t++) {
        int32_t n = due[t];
        if (n < 0) continue;
        while (n >= 0) {
            int32_t next = people[n].next_event;
            happen(n, t);
            n = next;
        }
        decide(t);
    }
}

static int32_t *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    long size;
    int32_t *words;
    if (!file) return NULL;
    fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    words = malloc((size_t)size);
    if (words && fread(words, 1, (size_t)size, file) != (size_t)size) words = NULL;
    fclose(file);
    return words;
}

int main(int argc, char **argv)
{
    int32_t *words = argc == 4 ? read_file(argv[1]) : NULL;
    FILE *file;
    if (!words) return 2;
    horizon = words[0];
    n_people = words[1];
    n_rows = words[2];
    n_services = words[3];
    capacity = words + 4;
    arrival = capacity + n_services;
    first_row = arrival + n_people;
    rows = (const Row *)(first_row + n_people);
    stamps = malloc((size_t)n_rows * sizeof(Stamps));
    people = malloc((size_t)n_people * sizeof(Person));
    services = malloc((size_t)n_services * sizeof(Service));
    due = malloc((size_t)horizon * sizeof(int32_t));
    if (!stamps || !people || !services || !due) return 3;
    for (int k = 0; k < atoi(argv[3]); k++) {
        clock_t start;
        begin();
        start = clock();
        run();
        printf("%.6f\n", (double)(clock() - start) / CLOCKS_PER_SEC);
    }
    file = fopen(argv[2], "wb");
    if (!file || fwrite(stamps, sizeof(Stamps), (size_t)n_rows, file) != (size_t)n_rows) return 4;
    return fclose(file);
}
