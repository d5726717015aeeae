// Maven's ComparableVersion, which accepts every text.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import org.apache.maven.artifact.versioning.ComparableVersion;

class comparable_version {
    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        new BufferedReader(new InputStreamReader(System.in, "UTF-8")).lines().forEach(line -> out.println(answer(line)));
        out.flush();
    }

    static String answer(String line) {
        String[] pair = line.split("\t", 2);
        int order = new ComparableVersion(pair[0]).compareTo(new ComparableVersion(pair[1]));
        return order < 0 ? "<" : order > 0 ? ">" : "=";
    }
}
