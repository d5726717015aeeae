ThisBuild / organization := "org.acme"
ThisBuild / version := "1.2.0"
ThisBuild / scalaVersion := "2.13.18"

lazy val core = project
lazy val listed = taskKey[Unit]("prints the runtime classpath by coordinates")
lazy val shop = (project in file("."))
  .enablePlugins(JavaAppPackaging)
  .dependsOn(core)
  .settings(
    Compile / mainClass := Some("org.acme.Shop"),
    libraryDependencies ++= Seq(
      "org.apache.pekko" %% "pekko-actor-typed" % "1.1.2",
      "org.apache.pekko" %% "pekko-stream" % "1.1.2",
      "org.apache.pekko" %% "pekko-http" % "1.1.0",
      "io.circe" %% "circe-generic" % "0.14.10",
      "org.playframework" %% "play-json" % "3.0.4",
      "org.typelevel" %% "cats-effect" % "3.6.3",
      "dev.zio" %% "zio-streams" % "2.1.24",
      "com.lihaoyi" %% "fastparse" % "3.1.1",
      "org.apache.kafka" %% "kafka" % "3.8.1",
      "com.fasterxml.jackson.module" %% "jackson-module-scala" % "2.18.2",
      "com.softwaremill.sttp.client3" %% "core" % "3.10.1",
      "com.typesafe.slick" %% "slick-hikaricp" % "3.5.2",
      "ch.qos.logback" % "logback-classic" % "1.5.12"
    ),
    // The resolution's own attributes of each entry: module, classifier, file. Folders are the project's modules.
    listed := (Runtime / fullClasspath).value.foreach { entry =>
      val module = entry.get(moduleID.key).getOrElse(sys.error(s"${entry.data} has no module"))
      val file = if (entry.data.isDirectory) s"${module.name}-${module.revision}.jar" else entry.data.getName
      println(s"LISTED ${module.organization} ${module.name} ${module.revision} $file ${entry.data}")
    }
  )
