package org.acme;
import jakarta.ws.rs.GET; import jakarta.ws.rs.Path;
@Path("/hello") public class Hello { @GET public String hi() { return org.acme.core.Core.hi(); } }
