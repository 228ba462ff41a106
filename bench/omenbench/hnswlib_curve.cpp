// hnswlib's side of bench/index: builds or loads a graph, then answers the
// queries, all in one thread. What it prints is for bench/index:
//
//   build SECONDS PEAK_BYTES   (only if GRAPH did not exist; it is written then)
//   ef EF K [US CPU_US]...     microseconds a query, a pair for each repetition,
//                              a line for ten rows, then one for a hundred
//
// RESULTS receives, for each such line, K int32 ids for each query, nearest first.
//
// usage: hnswlib_curve BASE.fbin ROWS QUERY.fbin cosine|l2|ip M EF_CONSTRUCTION GRAPH RESULTS REPETITIONS EF...
#include <hnswlib/hnswlib.h>

#include <sys/resource.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <vector>

struct Vectors {
	int32_t rows, dims;
	std::vector<float> values;
	const float *row(size_t i) const { return &values[i * dims]; }
};

// hnswlib's cosine is the inner product of vectors of length 1.
static Vectors read(const char *path, int limit, bool normalize)
{
	Vectors v;
	std::ifstream file(path, std::ios::binary);
	file.read((char *)&v.rows, 4).read((char *)&v.dims, 4);
	if (limit > 0 && v.rows > limit)
		v.rows = limit;
	v.values.resize((size_t)v.rows * v.dims);
	if (!file.read((char *)v.values.data(), v.values.size() * 4)) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(1);
	}
	for (int i = 0; normalize && i < v.rows; i++) {
		float *x = &v.values[(size_t)i * v.dims];
		double sum = 0;
		for (int k = 0; k < v.dims; k++)
			sum += (double)x[k] * x[k];
		for (int k = 0; k < v.dims && sum > 0; k++)
			x[k] /= std::sqrt(sum);
	}
	return v;
}

static double seconds(clockid_t clock = CLOCK_MONOTONIC)
{
	timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static long long peak_bytes()
{
	rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss * 1024LL;
}

int main(int argc, char **argv)
{
	if (argc < 11)
		return 2;
	const bool cosine = !strcmp(argv[4], "cosine");
	const Vectors base = read(argv[1], atoi(argv[2]), cosine), queries = read(argv[3], 0, cosine);
	const char *graph_file = argv[7];
	const int repetitions = atoi(argv[9]);
	std::unique_ptr<hnswlib::SpaceInterface<float>> space;
	std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph;

	if (strcmp(argv[4], "l2"))
		space.reset(new hnswlib::InnerProductSpace(base.dims));
	else
		space.reset(new hnswlib::L2Space(base.dims));
	if (std::ifstream(graph_file).good()) {
		graph.reset(new hnswlib::HierarchicalNSW<float>(space.get(), graph_file));
	} else {
		double start = seconds();
		graph.reset(new hnswlib::HierarchicalNSW<float>(space.get(), base.rows, atoi(argv[5]), atoi(argv[6])));
		for (int i = 0; i < base.rows; i++)
			graph->addPoint(base.row(i), i);
		printf("build %.3f %lld\n", seconds() - start, peak_bytes());
		graph->saveIndex(graph_file);
	}

	std::ofstream results(argv[8], std::ios::binary);
	for (int a = 10; a < argc; a++) {
		graph->setEf(atoi(argv[a]));
		for (int k : {10, 100}) {
			std::vector<int32_t> found((size_t)queries.rows * k);
			printf("ef %s %d", argv[a], k);
			for (int r = -1; r < repetitions; r++) { // the first warms up
				double start = seconds(), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
				for (int i = 0; i < queries.rows; i++) {
					auto nearest = graph->searchKnn(queries.row(i), k);
					for (int j = k - 1; j >= 0; j--) {
						// Fewer than k leave -1 at the end.
						bool there = (int)nearest.size() > j;
						found[(size_t)i * k + j] = there ? (int32_t)nearest.top().second : -1;
						if (there)
							nearest.pop();
					}
				}
				if (r >= 0)
					printf(" %.1f %.1f", (seconds() - start) / queries.rows * 1e6,
					       (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) / queries.rows * 1e6);
			}
			printf("\n");
			results.write((const char *)found.data(), found.size() * 4);
		}
	}
	return results.good() ? 0 : 1;
}
